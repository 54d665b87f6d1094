"""The channels. A new one is one file here and one line in CHANNELS."""

from __future__ import annotations

from trunkline_ingest.channels import email, form, sms, whatsapp
from trunkline_ingest.channels.adapter import Adapter

CHANNELS: dict[str, Adapter] = {
    "whatsapp": whatsapp.ADAPTER,
    "sms": sms.ADAPTER,
    "email": email.ADAPTER,
    "form": form.ADAPTER,
}
