"""GT06, the protocol of Concox and of the many trackers made alike.

`frames` finds messages among bytes, `messages` reads them, `session` answers.
"""

from geomon.gateway.gt06.session import Gt06Talk

__all__ = ["Gt06Talk"]
