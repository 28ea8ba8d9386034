"""The settings of models, the API and training."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.goals import parse_goal_types
from pipeline.model_options import ChannelNames
from pipeline.settings.declare import location, manner, setting
from pipeline.settings.parsers import choice, number, optional, share, text, whole


@dataclass(frozen=True, kw_only=True)
class CreditSettings:
    """Which credit a session gets, how the API is asked, what parameters are trained from."""

    model: str = setting(
        "model", "model", text, "ihc-local", "ATTRIBUTION_MODEL", "ihc-local, ihc-api, or a comparison model"
    )
    conv_type_id: str = setting(
        "model",
        "conv_type_id",
        text,
        "default",
        "CONV_TYPE_ID",
        "conversion type, of the API or of trained parameters",
    )
    goal_types: tuple[str, ...] = setting(
        "model",
        "goal_types",
        parse_goal_types,
        "",
        "GOAL_TYPES",
        "goal=conv_type_id pairs with commas between them: the conversion types of goals that have another one",
    )
    redistribution: str | None = setting(
        "model",
        "redistribution",
        optional,
        "",
        "IHC_REDISTRIBUTION",
        "JSON file in the form of the API's redistribution_parameter, for ihc-api and ihc-local",
    )
    max_rejected_share: float = setting(
        "model",
        "max_rejected_share",
        number(0),
        "0",
        "MAX_REJECTED_SHARE",
        "share of journeys that the API may reject before the run fails",
    )
    direct_channels: tuple[str, ...] = setting(
        "model",
        "direct_channels",
        ChannelNames.parse,
        "Direct, Direct Traffic",
        "DIRECT_CHANNELS",
        "channels that last-non-direct passes over, with commas between them",
    )
    excluded_channels: tuple[str, ...] = setting(
        "model",
        "excluded_channels",
        ChannelNames.parse,
        "",
        "EXCLUDED_CHANNELS",
        "channels that get no credit from any comparison model",
    )
    position_first: float = setting(
        "model", "position_first", number(0), "0.4", "POSITION_FIRST", "position-based: share of the first session"
    )
    position_last: float = setting(
        "model", "position_last", number(0), "0.4", "POSITION_LAST", "position-based: share of the last session"
    )
    half_life_hours: float = setting(
        "model",
        "half_life_hours",
        number(0, exclusive=True),
        "168",
        "HALF_LIFE_HOURS",
        "time-decay: hours before the order in which credit halves",
    )
    markov_order: int = setting(
        "model", "markov_order", whole(1), "1", "MARKOV_ORDER", "markov: sessions that a state of the chain remembers"
    )
    custom_model: str | None = setting(
        "model", "custom_model", optional, "", "CUSTOM_MODEL", "custom: TOML file with its rule"
    )
    api_url: str = location(
        "api",
        "url",
        text,
        "https://api.ihc-attribution.com/v1/compute_ihc",
        "API_URL",
        "endpoint of the API; plain http is refused except on loopback",
    )
    max_customer_journeys: int = setting(
        "api",
        "max_customer_journeys",
        whole(1),
        "100",
        "MAX_CUSTOMER_JOURNEYS",
        "the API's limit of journeys per request",
    )
    concurrency: int = manner("api", "concurrency", whole(1), "16", "IHC_CONCURRENCY", "requests in flight at a time")
    requests_per_second: float = manner(
        "api",
        "requests_per_second",
        number(0),
        "0",
        "IHC_REQUESTS_PER_SECOND",
        "requests a second at most, 0: no limit",
    )
    connect_timeout: float = manner(
        "api",
        "connect_timeout",
        number(0, exclusive=True),
        "10",
        "IHC_CONNECT_TIMEOUT",
        "seconds to connect to the API",
    )
    read_timeout: float = manner(
        "api",
        "read_timeout",
        number(0, exclusive=True),
        "60",
        "IHC_READ_TIMEOUT",
        "seconds to wait for a part of the API's answer",
    )
    total_timeout: float = manner(
        "api", "total_timeout", number(0, exclusive=True), "120", "IHC_TOTAL_TIMEOUT", "seconds for a request in all"
    )
    max_requests: int = manner(
        "api",
        "max_requests",
        whole(0),
        "0",
        "IHC_MAX_REQUESTS",
        "requests that an interval may need before anything is sent, 0: no limit",
    )
    retry_budget: float = manner(
        "api",
        "retry_budget",
        number(0),
        "900",
        "IHC_RETRY_BUDGET",
        "seconds of failures alone after which asking the API ends; what was answered is kept",
    )
    training_journeys: int = setting(
        "training", "journeys", whole(1), "100000", "TRAINING_JOURNEYS", "journeys in a training set at most"
    )
    training_min_length: int = setting(
        "training", "min_length", whole(1), "2", "TRAINING_MIN_LENGTH", "sessions that a journey of it has at least"
    )
    held_out_share: float = setting(
        "training", "held_out_share", share, "0.1", "TRAINING_HELD_OUT_SHARE", "share of the journeys that is held out"
    )
    training_seed: int = setting(
        "training", "seed", whole(0), "1", "TRAINING_SEED", "decides which journeys are taken and held out"
    )
    training_minimum_journeys: int = setting(
        "training",
        "minimum_journeys",
        whole(1),
        "50",
        "TRAINING_MINIMUM_JOURNEYS",
        "journeys of several sessions that have to bear on a parameter; with fewer it is the shipped one",
    )
    training_channel_weights: str = setting(
        "training",
        "channel_weights",
        choice("alike", "learned"),
        "alike",
        "TRAINING_CHANNEL_WEIGHTS",
        "alike: all channels weigh 1; learned: by a rule that is farther from the vendor's weights than 1 is",
    )
