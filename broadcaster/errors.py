"""What the application refuses, and what keeps it from starting. The core's and other rooms' errors stay theirs."""

from schedules.errors import DomainError


class Refusal(DomainError):
    """Something that was asked for cannot be done as it stands; the asker can put it right."""

    codes = frozenset(
        {
            "wrong_credentials",
            "not_signed_in",
            "not_allowed",
            "weak_password",
            "bad_name",
            "in_use",
            "time_in_past",
            "too_late",
            "programme_too_long",
            "no_targets",
            "no_items",
            "bad_repeat",
            "window_too_long",
            "already_withdrawn",
            "wrong_code",
            "bad_key",
            "media_not_found",
            "bad_upload",
            "key_reused",
            "bad_window",
        }
    )


class CannotStart(DomainError):
    """The server, its broker or a box cannot start here as it is set up."""

    codes = frozenset(
        {
            "port_in_use",
            "address_unusable",
            "data_in_use",
            "data_unwritable",
            "broker_missing",
            "broker_failed",
        }
    )
