"""What a box and the server say to each other over HTTP, once: how a box takes its place."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from devices.messages import Part
from devices.values import Id, Name


class BrokerAddress(Part):
    """Where the site's MQTT broker listens. ``host`` absent: the host that the box enrolled with."""

    host: Name | None = None
    port: Annotated[int, Field(ge=1, le=65535)]


class EnrolmentRequest(BaseModel):
    """What a box sends over HTTP to take its place: the one-time code and its public key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: Annotated[str, StringConstraints(min_length=4, max_length=64)]
    public_key: dict[str, str]
    """A public Ed25519 JWK; the private half never leaves the box."""
    software: Name | None = None


class BoxSettings(Part):
    """What the server answers: the box's place and whom it trusts from now on."""

    box: Id
    cluster: Id
    broker: BrokerAddress
    playlist_keys: Annotated[tuple[dict[str, str], ...], Field(min_length=1, max_length=8)]
    """Public JWKs whose signatures on playlists and acknowledgements count."""
