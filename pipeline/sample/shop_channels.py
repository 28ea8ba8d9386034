"""The channels of the made-up shop: what part each plays, what it costs, and how many orders it truly causes."""

from __future__ import annotations

from dataclasses import dataclass

BASE_CHANCE = 0.008
"""The chance that a user orders whom no channel persuades."""


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """One campaign of a channel.

    Attributes:
        name: as in the column `campaign`.
        share: weight among the channel's sessions while it runs.
        price: its cost of a session, as a multiple of the channel's.
        runs: from and until which share of the period.

    """

    name: str
    share: float
    price: float = 1.0
    runs: tuple[float, float] = (0, 1)


@dataclass(frozen=True, kw_only=True)
class ShopChannel:
    """One channel of the shop.

    Attributes:
        name: as in `channel_name`.
        role: opener, keeper or closer: where in journeys it is mostly found.
        opens: weight among the first sessions of users.
        keeps: weight among their further sessions, before they decide.
        closes: weight among the sessions in which users who have decided come to order.
        brings_back: weight among the sessions of users who have ordered.
        effect: the true incremental effect: the chance that having met the channel, once or more often, persuades
            a user to order whom nothing else persuades. The session in which a decided user comes to order has none.
        returns: the chance that a user comes again after a session of the channel.
        cost: mean cost of a session in euro; 0 for a channel that is not paid by the session.
        holder: share of its sessions with holder engagement.
        impressions: share of its sessions that interacted with an impression.
        campaigns: what its sessions are divided among; a channel without campaigns has NULL in that column.

    """

    name: str
    role: str
    opens: float = 0.0
    keeps: float = 0.0
    closes: float = 0.0
    brings_back: float = 0.0
    effect: float
    returns: float = 0.45
    cost: float = 0.0
    holder: float = 0.5
    impressions: float = 0.0
    campaigns: tuple[Campaign, ...] = ()


SHOP_CHANNELS = (
    ShopChannel(
        name="FB & IG Ads",
        role="opener",
        opens=0.24,
        keeps=0.04,
        closes=0.01,
        effect=0.05,
        returns=0.55,
        cost=0.42,
        impressions=0.2,
        campaigns=(
            Campaign(name="prospecting", share=0.5),
            Campaign(name="lookalike", share=0.35, price=0.8),
            Campaign(name="spring_sale", share=0.5, price=1.6, runs=(0.6, 0.9)),
        ),
    ),
    ShopChannel(
        name="YouTube Ads",
        role="opener",
        opens=0.08,
        keeps=0.02,
        effect=0.035,
        returns=0.5,
        cost=0.3,
        impressions=0.7,
        campaigns=(Campaign(name="how_to_videos", share=0.6), Campaign(name="brand_film", share=0.4, price=1.5)),
    ),
    ShopChannel(
        name="Display Ads",
        role="opener",
        opens=0.11,
        keeps=0.03,
        effect=0.002,
        returns=0.25,
        cost=0.75,
        holder=0.2,
        impressions=0.5,
        campaigns=(Campaign(name="run_of_network", share=0.7), Campaign(name="premium_sites", share=0.3, price=1.8)),
    ),
    ShopChannel(
        name="Paid Search Non Brand",
        role="opener",
        opens=0.14,
        keeps=0.06,
        closes=0.03,
        effect=0.04,
        cost=0.62,
        campaigns=(Campaign(name="category_terms", share=0.7), Campaign(name="competitor_terms", share=0.3, price=1.7)),
    ),
    ShopChannel(
        name="Performance Max",
        role="opener",
        opens=0.13,
        keeps=0.1,
        closes=0.09,
        effect=0.03,
        cost=0.55,
        campaigns=(Campaign(name="all_products", share=0.75), Campaign(name="bestsellers", share=0.25, price=1.3)),
    ),
    ShopChannel(name="Organic Traffic", role="opener", opens=0.15, keeps=0.08, closes=0.06, effect=0.02),
    ShopChannel(name="Social Organic", role="opener", opens=0.06, keeps=0.03, closes=0.01, effect=0.015),
    ShopChannel(name="Referral", role="opener", opens=0.05, keeps=0.02, closes=0.01, effect=0.04),
    ShopChannel(
        name="Retargeting",
        role="keeper",
        keeps=0.22,
        closes=0.04,
        effect=0.012,
        cost=0.35,
        holder=0.8,
        impressions=0.4,
        campaigns=(Campaign(name="viewed_product", share=0.6), Campaign(name="left_basket", share=0.4, price=1.4)),
    ),
    ShopChannel(
        name="Newsletter & Email",
        role="keeper",
        keeps=0.24,
        closes=0.07,
        brings_back=0.6,
        effect=0.03,
        holder=0.9,
        campaigns=(Campaign(name="weekly", share=0.6), Campaign(name="welcome", share=0.4)),
    ),
    ShopChannel(
        name="Affiliate & Partnerships",
        role="closer",
        opens=0.01,
        keeps=0.03,
        closes=0.12,
        effect=0.004,
        cost=0.9,
        campaigns=(Campaign(name="coupons", share=0.8), Campaign(name="cashback", share=0.2)),
    ),
    ShopChannel(
        name="Paid Search Brand",
        role="closer",
        opens=0.01,
        keeps=0.05,
        closes=0.3,
        effect=0.003,
        cost=0.28,
        holder=0.7,
        campaigns=(Campaign(name="brand_exact", share=0.8), Campaign(name="brand_broad", share=0.2, price=1.5)),
    ),
    ShopChannel(
        name="Direct Traffic",
        role="closer",
        opens=0.02,
        keeps=0.08,
        closes=0.26,
        brings_back=0.4,
        effect=0.0,
        holder=0.7,
    ),
)
"""Every channel. FB & IG Ads persuades the most and seldom sees the order; Display Ads costs more than it earns."""
