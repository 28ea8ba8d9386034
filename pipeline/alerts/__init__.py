"""Alerts: a failed run, its recovery, dead feeds, told to any service that apprise knows (the extra `alerts`).

urls      the receivers, of the environment or a secret file
words     what there is to tell of a run that ended, and what was told before
tell      telling it: never a failure of the run, and never for longer than ALERT_SECONDS
sender    a process of its own, which can be ended whatever the receiver does
"""
