"""Tokens with which istiod reads other clusters: `mesh up` renews them in the second half of their lifetime.

No resource depends on the clock, as every preview would show a change. Without `mesh`, use `pulumi up --replace URN`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mesh_federation.engine.pulumi import Engine, RecordedToken


def renewing(engine: Engine, tell: Callable[[str], None], now: datetime | None = None) -> list[str]:
    """Return the engine's options that replace tokens past half of their lifetime.

    Args:
        engine: the engine of the stack, whose clusters run.
        tell: prints a line.
        now: the current time, if it is not the clock's.
    """
    moment = now or datetime.now(UTC)
    old = [
        token for token in engine.recorded_tokens() if moment - token.made > timedelta(hours=token.settings.hours) / 2
    ]
    for token in old:
        reader, cluster = token.settings.reader, token.settings.cluster
        tell(f"the token with which the istiod of {reader} reads {cluster} is renewed: {_age(token, moment)}")
    return [f"--replace={token.urn}" for token in old]


def _age(token: RecordedToken, now: datetime) -> str:
    return f"{int((now - token.made).total_seconds() // 3600)} of its {token.settings.hours} hours are over"
