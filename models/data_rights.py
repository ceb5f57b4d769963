from __future__ import annotations

import peewee

from models.base import Model, owned_by_tenant


class Erasure(Model):
    """A chat whose customer was erased: what was written in it before stays away."""

    tenant_id = peewee.UUIDField()
    fingerprint = peewee.TextField()

    class Meta:
        table_name = "erasures"
        constraints = (owned_by_tenant(),)


class FingerprintKey(Model):
    """What fingerprints for one purpose are made with; encrypted."""

    purpose = peewee.TextField()
    sealed_key = peewee.TextField()

    class Meta:
        table_name = "fingerprint_keys"
