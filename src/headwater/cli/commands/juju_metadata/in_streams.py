"""Those of Juju's commands that ``headwater streams`` has too, in Juju's words when something goes wrong."""

from __future__ import annotations

from headwater.cli.commands.juju_metadata.words import in_juju_s_words
from headwater.cli.commands.streams import sign as signing
from headwater.cli.commands.streams.juju import validate

sign = in_juju_s_words(signing.sign)
validate_images = in_juju_s_words(validate.validate_images)
validate_agents = in_juju_s_words(validate.validate_agents)
