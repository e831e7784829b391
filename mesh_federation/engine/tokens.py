"""Tokens with which istiods read other clusters: `mesh up` renews them in the second half of their lifetime.

Nothing in the graph follows the clock, or a preview would show another change each day. By hand, the same is
`pulumi up --replace URN`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from mesh_federation.engine.pulumi import Engine, RecordedToken


def renewing(engine: Engine, tell: Callable[[str], None], now: datetime | None = None) -> list[str]:
    """Return the options by which the engine replaces tokens that are past half of their lifetime.

    Args:
        engine: of the stack, its clusters awake.
        tell: tells a person.
        now: left out: now.
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
