"""Sections ``[streams.trees.NAME]``: trees that the service serves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator

from headwater.config import Section
from headwater.fetching.fetcher import FetchSettings
from headwater.fetching.url_filter import redacted

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_HEADER = re.compile(r"[!-~]+( [!-~]+)*")
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")


class TreeSettings(Section):
    """Section ``[streams.trees.NAME]``: one tree, served at ``/trees/NAME/``. It has ``url`` or ``pull_through``."""

    url: Annotated[
        str | None,
        Field(
            description="Where the tree lies: a directory, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX. Who asks S3 "
            "or Swift is said by the environment: AWS_… or OS_…."
        ),
    ] = None
    pull_through: Annotated[
        str | None,
        Field(
            description="http(s) URL of a feed of others that is served as ours: its documents are kept and refreshed, "
            "and its files are fetched when somebody wants them."
        ),
    ] = None
    keyring: Annotated[
        Path | None,
        Field(
            description="Public keys (OpenPGP), one of which has to have signed each document that is pulled. "
            "Default: documents are believed as they come."
        ),
    ] = None
    resign: Annotated[
        bool,
        Field(
            description="Sign the documents that are pulled with signing_key of section [streams], for readers that "
            "know that key. Default: they keep the signatures that they came with."
        ),
    ] = False
    authorization: Annotated[
        SecretStr | None,
        Field(
            description="What proves to the server of a feed that is pulled who asks, as its header Authorization has "
            'it: "Bearer TOKEN" or "Basic …". No other server is told.'
        ),
    ] = None
    max_age_s: Annotated[
        int,
        Field(
            description="For how long documents that were pulled are given without a question to their server, in "
            "seconds. While the server does not answer they are given for as long as that lasts.",
            ge=0,
            le=30 * 86400,
        ),
    ] = 300
    directory: Annotated[
        Path | None,
        Field(
            description="Directory that keeps what is pulled. All workers share it; other machines may where its file "
            "system has locks for all of them. Default: DATA_DIR/streams/pulled/NAME."
        ),
    ] = None
    max_size: Annotated[
        int, Field(description="Most bytes of files in it. What was not read for longest goes first.", ge=1)
    ] = 20 << 30
    fetch: Annotated[
        FetchSettings,
        Field(
            description="Section [streams.trees.NAME.fetch]: which addresses the server of a feed that is pulled may "
            "have, and how long it is waited for. Keys and defaults are those of section [fetch]."
        ),
    ] = FetchSettings()

    @field_validator("url")
    @classmethod
    def _holds_files(cls, url: str | None) -> str | None:
        if url is not None and url.startswith(("http://", "https://")):
            raise ValueError("a feed at an http(s) URL is served by pull_through, not by url")
        if url is not None and not url.strip():
            raise ValueError("name a directory, s3://BUCKET/PREFIX or swift://CONTAINER/PREFIX")
        return url

    @field_validator("pull_through")
    @classmethod
    def _is_a_root(cls, url: str | None) -> str | None:
        if url is not None and (not _URL.fullmatch(url) or url.endswith((".json", ".sjson"))):
            raise ValueError(
                f"{redacted(url)} is not the root of a feed: give http:// or https://, a host and the path above "
                "streams/v1, without a user name, such as https://images.example/feed"
            )
        return None if url is None else url.rstrip("/")

    @field_validator("authorization")
    @classmethod
    def _is_one_line(cls, authorization: SecretStr | None) -> SecretStr | None:
        if authorization is not None and not _HEADER.fullmatch(authorization.get_secret_value()):
            raise ValueError('authorization is one line of printable ASCII, such as "Bearer TOKEN"')
        return authorization

    @model_validator(mode="after")
    def _one_of_both(self) -> TreeSettings:
        if (self.url is None) == (self.pull_through is None):
            raise ValueError("a tree has 'url' or 'pull_through': give one of both")
        told = self.model_fields_set - {"url", "pull_through"}
        if self.url is not None and told:
            raise ValueError(f"{', '.join(sorted(told))}: only a tree with 'pull_through' has that")
        return self
