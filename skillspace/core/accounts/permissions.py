"""The check at every service's door: nothing is allowed that the actor does not hold."""

from skillspace.core.errors import Denied
from skillspace.core.text import t
from skillspace.core.values import Actor


def require(actor: Actor, permission: str) -> None:
    """Let the actor pass, or refuse.

    Args:
        actor: Who acts.
        permission: Such as `chat:session:view`; a superuser holds every one.

    Raises:
        Denied: The actor does not hold the permission.
    """
    if actor.is_superuser or permission in actor.permissions:
        return
    raise Denied(
        t(
            "{name} may not do this: the permission {permission} is missing.",
            name=actor.name,
            permission=permission,
        ),
        hint=t("Ask an administrator for a role that grants it."),
        permission=permission,
    )
