"""Every setting: what there is, how it is read, and what follows from it.

`table.py`        each with name, default and help   `readers.py`   from text to a value
`environment.py`  reads the environment              `settings.py`  all values, typed
`roles.py`        what each role needs of them       `misspelt.py`  what looks like a setting
"""

from analytics.settings.environment import data_folder, is_set, load
from analytics.settings.misspelt import misspelt
from analytics.settings.roles import NEEDS, ROLES
from analytics.settings.settings import Settings
from analytics.settings.table import SECRETS, SETTINGS, Setting

__all__ = [
    "NEEDS",
    "ROLES",
    "SECRETS",
    "SETTINGS",
    "Setting",
    "Settings",
    "data_folder",
    "is_set",
    "load",
    "misspelt",
]
