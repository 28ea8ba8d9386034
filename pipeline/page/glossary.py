"""The terms of the page, each in a sentence."""

GLOSSARY = (
    ("Spend", "What was spent on the dates of the interval, whether it led to an order or not."),
    ("Orders", "The credit of a channel: each order is shared among the sessions before it, and the shares sum to 1."),
    ("Revenue", "Credit times the revenue of the order."),
    ("CPO", "Cost per order: spend divided by orders."),
    ("ROAS", "Return on ad spend: revenue divided by spend."),
    ("Bounds", "A 95 % bootstrap interval: how far the figure moves if other orders of the same kind had come in."),
    ("New customers", "Orders that are the first of their user in the source."),
    ("Openers, keepers, closers", "Orders that a channel began, kept going, brought home."),
    ("Order date", "The day of the order: all credit of an order stands on its day."),
    ("Touch date", "The day of the session that the credit belongs to."),
    (
        "Immature",
        "A touch date of whose orders less than 95 % are expected to have come by the end of the interval; hatched.",
    ),
    (
        "Profit",
        "MARGIN of revenue less spend; firm if its sign holds in the bounds, under every model and look-back window.",
    ),
    ("Unattributed", "Revenue of orders without any session, rejected by the API, or set aside."),
)
