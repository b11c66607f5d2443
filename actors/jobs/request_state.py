"""What is known of the request to Instagram that a job is charged for."""

from __future__ import annotations

from enum import Enum, auto


class RequestState(Enum):
    """How far one attempt has come with its charged request: a job's write, or a read job's read.

    A write goes from NOT_CHARGED to NOT_SENT when its intent is recorded, and to SENDING; a read is
    charged with its claim and goes from NOT_SENT to READ_SENT. UNCONFIRMED is where an attempt
    begins that has to verify the write of an earlier one.
    """

    NOT_CHARGED = auto()
    #: Charged, and certainly not sent: the charge is given back if the attempt ends here.
    NOT_SENT = auto()
    READ_SENT = auto()
    #: This attempt is sending the write, or has sent it.
    SENDING = auto()
    #: An earlier attempt may have written; this one has sent no write.
    UNCONFIRMED = auto()

    @property
    def may_have_written(self) -> bool:
        """Whether the job's write may have reached Instagram."""
        return self in (RequestState.SENDING, RequestState.UNCONFIRMED)
