"""The commands of those who run the pipeline every day; none of them is a task, so luigid never hears of them.

attribution-daily: the report of the last days, once or every day

    daily_command    its options, and the run
    schedule         when the next run is due
    intervals        which days it makes, and what it still owes
    child            the `luigi` command as a child process, and the signals that end both

attribution-status: what is there, and whether yesterday's report is

    status_command   its options, and the words
    status           all that is looked at, as one document
    day_files        the day files of each stage: there, unsettled, stale
    reports          the reports that are there

attribution-clean: what would go, and its removal

    clean_command    its options, and the removal
    selection        which files of the data directory an order names
    tables           days taken out of the result tables
    person           a person's ids replaced wherever they stand
"""
