"""Colliders: the meshes that worlds bring for engines to collide with, stored and announced with every content."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from service.ids import AssetId
from service.store.blobs import BlobStore
from service.store.catalogue import Catalogue
from service.store.database import write
from service.store.records import COLLIDER, AssetRecord
from service.worlds.world import Content, World


def store_colliders(world: World, engine: Engine, blobs: BlobStore, catalogue: Catalogue) -> int:
    """How many meshes of a world are stored now, for good. Idempotent; reads and writes: off the event loop."""
    meshes = {content.collider.sha256: content for gate in world.gates.values() if (content := gate.content).collider}
    for sha256, content in meshes.items():
        if content.collider is not None:
            blobs.put(content.collider.glb)
            with write(engine) as connection:
                catalogue.register_assets(connection, f"colliders/{sha256}", [collider_record(content)])
    return len(meshes)


def with_collider(scene: Sequence[AssetRecord], content: Content, formats: Sequence[str]) -> tuple[AssetRecord, ...]:
    """The assets of a scene with the world's own mesh, where there is one, instead of the reconstructed proxy.

    The proxy stays in the scene's manifest for who prefers it. A client that names its formats without
    `model/gltf-binary` gets neither.
    """
    if content.collider is None or (formats and COLLIDER not in formats):
        return tuple(scene)
    return (*(record for record in scene if record.media_type != COLLIDER), collider_record(content))


def collider_record(content: Content) -> AssetRecord:
    """The mesh of a content that has one, as an asset."""
    if content.collider is None:
        raise ValueError("the content has no collider")
    mesh = content.collider
    return AssetRecord(AssetId(mesh.sha256), len(mesh.glb), COLLIDER, 0.0, content.duration_s)
