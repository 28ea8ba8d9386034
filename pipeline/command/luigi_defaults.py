"""Luigi's settings where no luigi.cfg says otherwise."""

from __future__ import annotations

import luigi.configuration

_DEFAULTS = {
    "core": {"log_level": "INFO"},
    "worker": {
        "wait_interval": "0.2",
        "wait_jitter": "0",
        # a stage looks at what it is made from when it runs; Luigi would look at all of it before each stage
        "check_unfulfilled_deps": "false",
    },
    "retcode": {
        "already_running": "10",
        "missing_data": "20",
        "not_run": "25",
        "task_failed": "30",
        "scheduling_error": "35",
        "unhandled_exception": "40",
    },
}


def apply_defaults() -> None:
    """Set what no luigi.cfg has set."""
    config = luigi.configuration.get_config()
    for section, options in _DEFAULTS.items():
        for option, value in options.items():
            if not config.has_option(section, option):
                config.set(section, option, value)


def exit_code(name: str) -> int:
    """The exit code of this name in `[retcode]`."""
    return int(luigi.configuration.get_config().get("retcode", name, _DEFAULTS["retcode"][name]))
