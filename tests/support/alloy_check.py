"""Whether a configuration of Grafana Alloy is one: names, arguments, their types, and what refers to what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from support.alloy import COMPONENTS, Block, Mistake, Reference, Shape, Value

_CONTAINER = "list("


def check(blocks: Iterable[Block]) -> dict[tuple[str, str], Block]:
    """The components by name and label. Raises :class:`Mistake` for what Alloy would refuse, or leave unconnected."""
    components: dict[tuple[str, str], Block] = {}
    for block in blocks:
        if block.name not in COMPONENTS:
            raise Mistake(f"{block.name} is no component that is known here")
        if block.label is None or (block.name, block.label) in components:
            raise Mistake(f"{block.name} {block.label!r} has no label, or stands there twice")
        components[block.name, block.label] = block
    used: set[tuple[str, str]] = set()
    for (name, label), block in components.items():
        used |= _check_block(block, COMPONENTS[name], f'{name} "{label}"', components)
    for name, label in components:
        if COMPONENTS[name].exports and (name, label) not in used:
            raise Mistake(f"nothing refers to {name}.{label}")
    return components


def _check_block(
    block: Block, shape: Shape, where: str, components: Mapping[tuple[str, str], Block]
) -> set[tuple[str, str]]:
    used: set[tuple[str, str]] = set()
    for missing in sorted(shape.required - set(block.attributes)):
        raise Mistake(f"{where} lacks {missing}")
    for argument, value in block.attributes.items():
        if argument in shape.takes:
            used |= _check_taken(value, shape.takes[argument], f"{where}: {argument}", components)
        elif argument not in shape.arguments:
            raise Mistake(f"{where} takes no {argument}")
        elif not shape.arguments[argument](value):
            raise Mistake(f"{where}: {argument} cannot be {value!r}")
    for inner in block.blocks:
        if inner.name not in shape.blocks or inner.label is not None:
            raise Mistake(f"{where} takes no block {inner.name}")
        used |= _check_block(inner, shape.blocks[inner.name], f"{where} > {inner.name}", components)
    return used


def _check_taken(
    value: Value, wanted: str, where: str, components: Mapping[tuple[str, str], Block]
) -> set[tuple[str, str]]:
    """A list of references to single exports, or one reference to an export that is all of it."""
    if isinstance(value, list) and wanted.startswith(_CONTAINER):
        inner = wanted.removeprefix(_CONTAINER).removesuffix(")")
        return {name for each in value for name in _check_taken(each, inner, where, components)}
    if not isinstance(value, Reference) or len(value.parts) < 3:
        raise Mistake(f"{where} is no {wanted}: {value!r}")
    *name, label, export = value.parts
    target = (".".join(name), label)
    if target not in components:
        raise Mistake(f"{where} refers to {'.'.join(value.parts)}, and there is none")
    if COMPONENTS[target[0]].exports.get(export) != wanted:
        raise Mistake(f"{where} wants {wanted}, which {'.'.join(value.parts)} is not")
    return {target}
