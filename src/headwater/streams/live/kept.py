"""What a feed lists, kept as images change: what a change costs is that image and the text of its product."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

L_co = TypeVar("L_co", covariant=True)


class KeptProduct(Protocol[L_co]):
    """One product, and the versions that images make of it."""

    @property
    def is_empty(self) -> bool: ...

    def drop(self, version: str, image_id: str) -> None: ...

    def listed(self) -> L_co: ...


P = TypeVar("P", bound="KeptProduct[object]")
L = TypeVar("L")


class Kept(Generic[P, L]):
    """The products of one document and the images in them; for one thread at a time."""

    def __init__(self) -> None:
        self._products: dict[str, P] = {}
        self._listed: dict[str, L] = {}  # in order
        self._changed: set[str] = set()  # what is not in ``_listed`` as it is
        self._places: dict[str, tuple[str, str]] = {}  # product and version of each image that is listed

    def _placed(self, image_id: str, product: str, version: str) -> None:
        """Note where an image stands now."""
        self._places[image_id] = product, version
        self._changed.add(product)

    def drop(self, image_id: str) -> None:
        """Take an image out, if it is in."""
        if place := self._places.pop(image_id, None):
            product, version = place
            self._products[product].drop(version, image_id)
            self._changed.add(product)

    def _now(self) -> dict[str, L]:
        """Return the products as they are listed now, in the order of their ids."""
        are_new = not self._changed <= self._listed.keys()
        for name in self._changed:
            product = self._products[name]
            if product.is_empty:
                del self._products[name]
                self._listed.pop(name, None)
            else:
                self._listed[name] = product.listed()  # type: ignore[assignment]  # what P lists is L
        self._changed.clear()
        if are_new:
            self._listed = {name: self._listed[name] for name in sorted(self._listed)}
        return self._listed.copy()
