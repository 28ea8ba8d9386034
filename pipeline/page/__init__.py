"""The page of a report, `report.html`: pure functions from the text of the report's files to one self-contained file.

tables     the files as rows
figures    a number, a name, a date as they stand on the page
charts     bars, whiskers, sparklines as SVG
changes    what changed against the days before, taken apart
words      the books and the changes in sentences
sections   what each part of the page shows
disagreements  where models disagree most
ledger     the orders, sessions and days that a figure sums
verdicts   the badge of each channel, and its CPO over all models
page       all of it in the template
command    `attribution-report`, which opens the newest page
"""
