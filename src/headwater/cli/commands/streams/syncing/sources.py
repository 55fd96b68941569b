"""``headwater streams sources``: feeds that a service itself brings images from, over its API."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from headwater.cli import output
from headwater.cli.commands.streams.syncing import terms as options
from headwater.cli.commands.streams.syncing.places import environment_for, service_of
from headwater.cli.commands.streams.syncing.terms import TermOptions, taking_terms
from headwater.cli.output import AsJson
from headwater.client.service import Document, ImageService, RequestRefused
from headwater.errors import NotFound, SettingsError

app = typer.Typer(help="Feeds that a service itself brings images from, again and again.", no_args_is_help=True)

_PATH = "/v2/streams/sources"
_NOT_FOUND = 404

Name = Annotated[str, typer.Argument(metavar="NAME", help="Of the source.")]
To = Annotated[
    str | None, typer.Option("--to", metavar="CLOUD", help="The service, by a name of clouds.yaml or a URL.")
]
Keyring = Annotated[
    Path | None,
    typer.Option("--keyring", metavar="FILE", help="OpenPGP keys of which one has to have signed each document."),
]
Verify = Annotated[bool | None, typer.Option("--verify/--no-verify", help="Whether signatures are looked at.")]
Enabled = Annotated[bool | None, typer.Option("--enabled/--disabled", help="Whether it runs by itself.")]
Interval = Annotated[
    int | None,
    typer.Option("--interval", min=60, metavar="SECONDS", help="Between two runs. Default: 86400, which is a day."),
]
Jitter = Annotated[
    int | None,
    typer.Option("--jitter", min=0, metavar="SECONDS", help="Up to so many more, by chance. Default: 3600."),
]


class NoSuchSource(NotFound):
    """The service knows no such source, or has no sources at all."""

    def __init__(self, name: str, place: str) -> None:
        super().__init__(f"{place} has no source {name!r}: 'headwater streams sources list' shows those there are")
        self.name, self.place = name, place


@app.command("list")
def list_(to: To = None, as_json: AsJson = False) -> None:
    """List the sources, with the state of each."""
    with _service(to) as service:
        found = service.ask("GET", _PATH)["sources"]
    if as_json:
        output.say_json(found)
        return
    output.say_table(("NAME", "URL", "OUTCOME", "LAST RUN", "NEXT RUN", "LAST ERROR"), map(_row, found))


@app.command()
def show(name: Name, to: To = None, as_json: AsJson = False) -> None:
    """Show a source: what it is asked for, its state, and what its last run did."""
    with _service(to) as service:
        _say(_asked(service, "GET", name), as_json=as_json)


@app.command()
@taking_terms
def add(
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the feed's tree or a document in it, http or https.")],
    *,
    terms: TermOptions,
    keyring: Keyring = None,
    verify: Verify = None,
    enabled: Enabled = None,
    interval_s: Interval = None,
    jitter_s: Jitter = None,
    to: To = None,
    as_json: AsJson = False,
) -> None:
    """Add a source; it runs at once, unless it is --disabled. Its images are those of your project."""
    said = terms.said()
    options.terms_of(said)  # what is wrong is told in the words of options, before anybody is asked
    document = options.given(
        name=name,
        url=url,
        keyring=_keyring(keyring),
        verify=verify,
        enabled=enabled,
        interval_s=interval_s,
        jitter_s=jitter_s,
    )
    with _service(to) as service:
        _say(service.ask("POST", _PATH, {**document, "terms": said}), as_json=as_json)


@app.command("set")
@taking_terms
def set_(
    name: Name,
    *,
    terms: TermOptions,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Of the feed.")] = None,
    new_name: Annotated[str | None, typer.Option("--rename", metavar="NAME", help="Call it so from now on.")] = None,
    keyring: Keyring = None,
    verify: Verify = None,
    enabled: Enabled = None,
    interval_s: Interval = None,
    jitter_s: Jitter = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="As if nobody had said it, such as keyring, keep or disk_format; again."),
    ] = None,
    to: To = None,
    as_json: AsJson = False,
) -> None:
    """Change what is said of a source; what is not named stays. Filters replace those there are."""
    said: dict[str, Any] = terms.said()
    patch: dict[str, Any] = options.given(
        name=new_name,
        url=url,
        keyring=_keyring(keyring),
        verify=verify,
        enabled=enabled,
        interval_s=interval_s,
        jitter_s=jitter_s,
    )
    for each in unset or ():
        (said if each in options.NAMES else patch)[each] = None
    if said:
        patch["terms"] = said
    if not patch:
        raise SettingsError("say what is to change: 'headwater streams sources set --help' shows what can")
    with _service(to) as service:
        _say(_asked(service, "PATCH", name, document=patch), as_json=as_json)


@app.command()
def remove(name: Name, to: To = None, as_json: AsJson = False) -> None:
    """Forget a source, and end its run; its images stay."""
    with _service(to) as service:
        _asked(service, "DELETE", name)
    if as_json:
        output.say_json({"removed": name})
    else:
        output.say(f"removed {name}; its images stay")


@app.command()
def run(name: Name, to: To = None, as_json: AsJson = False) -> None:
    """Let a source run as soon as the service has time for it."""
    with _service(to) as service:
        _say(_asked(service, "POST", name, "/actions/run"), as_json=as_json)


@app.command()
def cancel(name: Name, to: To = None, as_json: AsJson = False) -> None:
    """Let the run of a source end; the next one goes on."""
    with _service(to) as service:
        _say(_asked(service, "POST", name, "/actions/cancel"), as_json=as_json)


@contextmanager
def _service(to: str | None) -> Iterator[ImageService]:
    with service_of(to, environment_for(to)) as (service, _):
        yield service


def _asked(service: ImageService, method: str, name: str, below: str = "", document: object = None) -> Document:
    path = f"{_PATH}/{quote(name, safe='')}{below}"
    try:
        if document is None:
            return service.ask(method, path)
        return service.ask(method, path, document, Content_Type="application/merge-patch+json")
    except RequestRefused as refused:
        if refused.status != _NOT_FOUND:
            raise
        raise NoSuchSource(name, service.url) from refused


def _keyring(file: Path | None) -> str | None:
    """Return a keyring as the API takes it, when it holds keys."""
    if file is None:
        return None
    from headwater.streams.signing.certificates import certificates  # noqa: PLC0415 - OpenPGP is long to load

    certificates(file)
    return base64.b64encode(file.read_bytes()).decode()


def _row(source: Document) -> tuple[str, ...]:
    state = source["state"]
    texts = (source["name"], source["url"], state["outcome"], state["began_at"], state["next_run_at"], state["error"])
    return tuple(each or "" for each in texts)


def _say(source: Document, *, as_json: bool) -> None:
    if as_json:
        output.say_json(source)
        return
    terms = {"name template" if name == "name" else name: each for name, each in source["terms"].items()}
    own = {name: each for name, each in source.items() if name not in ("terms", "state")}
    shown = {**own, **terms, **source["state"]}
    if shown.get("keyring"):
        shown["keyring"] = "one is set"
    output.say_table(("FIELD", "VALUE"), [(name, _text(value)) for name, value in shown.items()])


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ("; " if any(isinstance(each, dict) for each in value) else " ").join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={_text(each)}" for name, each in value.items())
    return str(value)
