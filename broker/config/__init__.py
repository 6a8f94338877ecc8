"""The settings of the service: one TOML file, overridden by the environment."""

from broker.config.load import load_settings
from broker.config.settings import Settings

__all__ = ["Settings", "load_settings"]
