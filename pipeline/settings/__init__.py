"""Every setting: its section and key in luigi.cfg, its environment variable, its default, its rule, its description.

The order of precedence is option of the command line, environment variable, luigi.cfg, default. Nothing is kept: a
setting is read when a task is made, and reaches everything else as a parameter of that task.

    source, credit, run   the settings, declared by what they concern
    declare, parsers      how one is declared, and its rule
    declared              all of them together
    in_force              their values
    names                 what stands in luigi.cfg and the environment under a wrong name
"""

from pipeline.settings.declared import LOCATIONS, SECRETS, Settings, declared_settings
from pipeline.settings.names import check_configuration, doubtful_names
from pipeline.settings.read_settings import parse_setting, setting_in_force, settings_in_force

__all__ = [
    "LOCATIONS",
    "SECRETS",
    "Settings",
    "check_configuration",
    "declared_settings",
    "doubtful_names",
    "parse_setting",
    "setting_in_force",
    "settings_in_force",
]
