"""Settings, read once: defaults < config.toml < `MCP_MEMORY_*` environment < command-line flags."""

from __future__ import annotations

import json
import os
import re
import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from mcp_memory.errors import ConfigError
from mcp_memory.models import Identifier

APP_NAME = "mcp-memory"
ENV_PREFIX = "MCP_MEMORY_"
ENV_DELIMITER = "__"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class EmbeddingConfig(_Section):
    """Which model turns text into vectors."""

    provider: Literal["local", "openai"] = "local"
    """`local` is the model inside the package; `openai` is any server that answers POST /v1/embeddings."""
    model: str = "all-MiniLM-L6-v2"
    """The model's name, sent to the endpoint and remembered with the vectors. With `local`, the one that is
    shipped."""
    dimension: Annotated[int, Field(ge=2, le=8192)] = 384
    """Numbers in one vector. The local model makes 384."""
    base_url: str = "http://127.0.0.1:11434/v1"
    """The endpoint's address up to and including /v1. The default is where Ollama listens."""
    api_key: SecretStr | None = None
    """The endpoint's key, when it wants one. Better given as MCP_MEMORY_EMBEDDING__API_KEY than written in a
    file."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds to wait for one answer of the endpoint."""
    batch_size: Annotated[int, Field(ge=1, le=512)] = 32
    """Texts in one request to an endpoint."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Processor threads of the local model. It reads one text at a time, which a second makes no faster on
    two cores: 4.0 ms a question with one, 4.2 with two."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.provider == "local" and (self.model != "all-MiniLM-L6-v2" or self.dimension != 384):
            raise ValueError(
                'provider "local" is the shipped all-MiniLM-L6-v2 with dimension 384; '
                'for another model set provider = "openai"'
            )
        return self


Weight = Annotated[float, Field(ge=-10, le=10)]


class Weights(_Section):
    """How much each signal counts. Set on development data by a random search over the recall that
    `benchmarks/weights.py` computes."""

    dense: Weight = 0.62
    """Similarity in meaning of the text as a whole."""
    dense_alone: Weight = 1.2
    """The same where words cannot be compared, as with an endpoint's model."""
    late: Weight = 1.06
    """Similarity in meaning word by word, which the local model tells."""
    text: Weight = 0.23
    """Shared words (BM25)."""
    words_alone: Annotated[float, Field(ge=0, le=20)] = 2.5
    """How many times more `text`, `nearby` and `session` count when no model is at hand."""
    nearby: Weight = 0.26
    """Shared words together with the turns just before and after."""
    session: Weight = 0.3
    """Shared words of the whole session."""
    nearby_late: Weight = 0.64
    """Similarity word by word together with the turns just before and after."""
    session_late: Weight = 0.54
    """Similarity word by word of the whole session."""
    entity: Weight = 0.12
    """Mentions an entity that the query names."""
    speaker: Weight = 0.72
    """Was said by whom the query names."""
    own: Weight = 1.15
    """Was said by the user, when the query says "I"."""
    date: Weight = 0.71
    """Was said on a date that the query names."""
    time: Weight = 0.31
    """Names a time, when the query asks for one."""
    number: Weight = 0.16
    """Holds a number, when the query asks for one."""
    question: Weight = -0.09
    """Is itself a question."""
    reply: Weight = 0.17
    """Follows a question that is similar to the query."""
    exact: Weight = 1.0
    """Holds a quotation or an identifier of the query exactly."""
    rating: Weight = 0.1
    """Was rated useful; wrong counts against it."""


class RerankerConfig(_Section):
    """A cross-encoder that looks at the best hits again."""

    provider: Literal["none", "endpoint", "local"] = "none"
    """`endpoint` is any server that answers POST /v1/rerank; `local` reads an ONNX file."""
    depth: Annotated[int, Field(ge=1, le=100)] = 30
    """Hits that are looked at again, the best first; each costs the model one reading."""
    base_url: str = "http://127.0.0.1:8080/v1"
    """The endpoint's address up to and including /v1."""
    model: str = ""
    """The model's name, sent to the endpoint."""
    api_key: SecretStr | None = None
    """The endpoint's key, when it wants one. Better given as MCP_MEMORY_SEARCH__RERANKER__API_KEY."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Seconds to wait for one answer of the endpoint; then the hits stay as they were, and the answer says
    so."""
    folder: Path = Path("reranker")
    """Where `model.onnx` and `tokenizer.json` of the local one are."""
    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Processor threads of the local one."""


class SearchConfig(_Section):
    """How memories are found and how much of them is answered."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    """Hits of one search at most, when the caller does not say; `max_tokens` usually ends it before."""
    max_tokens: Annotated[int, Field(ge=100, le=20_000)] = 1_000
    """Size of one answer, in tokens of four characters, when the caller does not say."""
    words_mib: Annotated[int, Field(ge=0, le=16_384)] = 96
    """Memory, in MiB, for the words of those who search. Whoever has more to search through is searched by
    the full-text index on disk, which ranks a little worse; 0 uses that alone."""
    rewrite: bool = False
    """Ask the model under [llm] for other ways to put the question, and search for them too. It takes the
    time of one of its answers; with `extraction.provider = "anthropic"`."""
    weights: Weights = Weights()
    reranker: RerankerConfig = RerankerConfig()


class ExtractionConfig(_Section):
    """How facts are drawn from what was said."""

    provider: Literal["rules", "anthropic", "off"] = "rules"
    """`rules` needs no model and no key; `anthropic` asks the model under [llm], which then reads what is
    remembered; `off` keeps the words alone."""
    custom_instructions: Annotated[str, Field(max_length=4_000)] = ""
    """What matters to you, in your own words: the model is told."""
    profile: bool = False
    """Whether the model writes a portrait of the user at the head of `memory://profile`, again whenever what
    holds of them has changed."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    """How often one piece of work is tried, with growing pauses, before it waits for `mcp-memory retry`."""


class LlmConfig(_Section):
    """The language model: Anthropic's, or any server that speaks its Messages API, as Ollama, LM Studio, vLLM
    and llama.cpp do."""

    model: str = "claude-haiku-5-5"
    """The model's name."""
    base_url: str = ""
    """The server's address, without /v1/messages. Empty: Anthropic's own. A server that is named here gets no
    other key than `api_key`."""
    api_key: SecretStr | None = None
    """Absent: ANTHROPIC_API_KEY, or what `keyring set mcp-memory anthropic` has stored."""
    timeout: Annotated[float, Field(gt=0, le=600)] = 60.0
    """Seconds to wait for one answer."""
    max_output_tokens: Annotated[int, Field(ge=256, le=64_000)] = 4_096
    """Tokens one answer may have."""
    daily_token_limit: Annotated[int, Field(ge=0, le=10_000_000_000)] = 1_000_000
    """Tokens, in and out, of one day (UTC). 0: no limit."""
    daily_user_token_limit: Annotated[int, Field(ge=0, le=10_000_000_000)] = 0
    """The same for what is drawn from the words of one user. 0: no limit but that of all."""
    when_spent: Literal["rules", "wait"] = "rules"
    """What becomes of facts when the day's tokens are spent: drawn by rules, or drawn tomorrow."""

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", value):
            raise ValueError(
                "must be an address such as http://127.0.0.1:11434, or empty for Anthropic's own"
            )
        return value


class GuardConfig(_Section):
    """What is looked for in a text before it is stored or sent to a model."""

    secrets: Literal["mask", "refuse", "allow"] = "mask"
    """Passwords, keys, tokens and card numbers: blotted out, refused with the whole call, or kept."""


class MemoryConfig(_Section):
    """What is kept, and how long."""

    session_ttl_days: Annotated[float, Field(gt=0, le=36500)] = 30.0
    """Days until a memory of level session expires."""


class ForgetConfig(_Section):
    """How forgetting is guarded."""

    plan_ttl_minutes: Annotated[int, Field(ge=1, le=1440)] = 10
    """Minutes for which a plan of what to forget can be carried out."""
    grace_days: Annotated[float, Field(ge=0, le=3650)] = 0.0
    """Days for which the forgotten is only hidden and `mcp-memory unforget` brings it back. 0 erases at
    once."""


class OwnerConfig(_Section):
    """The process that holds the memory for all hosts."""

    idle_seconds: Annotated[float, Field(ge=0.1, le=86_400)] = 60.0
    """Seconds after which it ends when no host and no command uses it any more."""


class GraphConfig(_Section):
    """The embedded graph database."""

    engine: Literal["kuzu", "ladybug"] = "kuzu"
    """`ladybug` is the maintained fork of kuzu; install it with `pip install ladybug`."""
    buffer_pool_mib: Annotated[int, Field(ge=64, le=65536)] = 256
    """Memory, in MiB, that the graph may use for its pages."""


class VectorsConfig(_Section):
    """The LanceDB table."""

    optimize_after_writes: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Writes after which the table is compacted and its indexes brought up to date, in the background."""
    optimize_after_seconds: Annotated[float, Field(ge=1, le=86_400)] = 30.0
    """Seconds after which the same happens if there was any write."""
    resident_mib: Annotated[int, Field(ge=0, le=65536)] = 320
    """Memory, in MiB, up to which all vectors are held there and searched exactly: some 150,000 memories. A
    larger table, and with 0 every table, is searched in its files."""


class RemoteConfig(_Section):
    """Where `mcp-memory serve` listens, and whom it answers."""

    host: str = "127.0.0.1"
    """The address to listen on. Any but this machine's own needs `allowed_hosts`, and tokens or [oauth]."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_765
    """The port; 0 takes a free one, which is said on stderr."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that answer. With more than one, clients of the handshake era are told of no changes, and the
    old SSE transport is not served."""
    allowed_hosts: tuple[str, ...] = ()
    """Names under which clients know this server, such as "memory.example.org", besides this machine's own:
    a request for another is refused, for a page of a browser may have sent it (DNS rebinding)."""
    allowed_origins: tuple[str, ...] = ()
    """Web pages that may call, such as "https://app.example.org". Empty: none."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For, -Proto and -Host are believed."""
    tls_cert: Path | None = None
    """A certificate chain in PEM, to serve HTTPS without a proxy."""
    tls_key: Path | None = None
    """Its private key in PEM."""
    log_format: Literal["text", "json"] = "text"
    """How a line of the log looks: for people, or an object a line."""
    telemetry_endpoint: str = ""
    """Where spans are sent by OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces. Empty: nowhere. Needs
    `pip install "mcp-memory-layer[telemetry]"`."""

    @property
    def is_local(self) -> bool:
        """Whether it is reached from this machine alone."""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together; set both or none")
        for proxy in self.proxies:
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(
                    f'proxies has {proxy!r}: give addresses or networks, such as "10.0.0.2" or "10.0.0.0/8"'
                ) from error
        return self


class OAuthConfig(_Section):
    """An identity provider whose JWTs are let in besides our own tokens (OAuth 2.1, as a resource server)."""

    issuer: str = ""
    """The provider's address, exactly as its tokens say it (`iss`). Empty: only our own tokens."""
    jwks_url: str = ""
    """Where its public keys are. Empty: /.well-known/jwks.json at the issuer."""
    resource: str = ""
    """This server's public address, such as https://memory.example.org/mcp: the audience (`aud`) that a token
    must be made for."""
    user_claim: Annotated[str, Field(min_length=1)] = "sub"
    """The claim that says whose memory it is."""
    agent_claim: str = ""
    """The claim that names the agent whose memory is joined. Empty: none."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.issuer and not self.resource:
            raise ValueError("resource is missing: the public address that tokens must be made for")
        for name in ("issuer", "jwks_url", "resource"):
            value = getattr(self, name)
            if value and not re.fullmatch(
                r"https://[^\s/]+\S*|http://(127\.0\.0\.1|localhost)(:\d+)?(/\S*)?", value
            ):
                raise ValueError(f"{name} must be an address that begins with https://")
        return self


class LimitsConfig(_Section):
    """What one remote caller may use."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    """Requests of one token, over all workers."""
    concurrent_calls: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Calls of one token at once, over all workers, and as many open streams."""
    body_bytes: Annotated[int, Field(ge=1_024, le=268_435_456)] = 4_194_304
    """Size of one request."""
    answer_bytes: Annotated[int, Field(ge=1_024, le=268_435_456)] = 1_048_576
    """Size of one answer."""
    memories_per_user: Annotated[int, Field(ge=0)] = 100_000
    """Memories that one user may keep. 0: no limit."""
    bytes_per_user: Annotated[int, Field(ge=0)] = 268_435_456
    """Bytes of text that one user may keep. 0: no limit."""


def _absolute(folder: Path) -> Path:
    # Whoever shares it may stand elsewhere, and a host hands over "~" as it is written.
    return folder.expanduser().absolute()


class Config(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))
    )
    """The folder that holds everything remembered. Empty or absent: this system's folder for application
    data."""
    user_id: Identifier = "me"
    """Whose memory it is when a call does not say."""
    agent_id: Identifier | None = None
    """The agent whose memory is joined when a call does not say."""
    session_id: Identifier | None = None
    """The session when a call does not say. Claude Code's own session id is used when this is absent."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "WARNING"
    """How much is written to stderr. What is remembered is never logged."""
    in_process: bool = False
    """Hold the memory in this very process instead of sharing it with other hosts: for tests, and for
    sandboxes that forbid child processes."""
    prompts_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=lambda: default_config_file().parent / "prompts"
    )
    """A prompt file of the same name in this folder replaces the shipped one. Empty or absent: the folder
    `prompts` beside the settings."""
    embedding: EmbeddingConfig = EmbeddingConfig()
    search: SearchConfig = SearchConfig()
    extraction: ExtractionConfig = ExtractionConfig()
    llm: LlmConfig = LlmConfig()
    guard: GuardConfig = GuardConfig()
    memory: MemoryConfig = MemoryConfig()
    forget: ForgetConfig = ForgetConfig()
    graph: GraphConfig = GraphConfig()
    vectors: VectorsConfig = VectorsConfig()
    owner: OwnerConfig = OwnerConfig()
    remote: RemoteConfig = RemoteConfig()
    oauth: OAuthConfig = OAuthConfig()
    limits: LimitsConfig = LimitsConfig()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`load` merges file, environment and flags itself, so that an error can name where its value
        stands."""
        return (init_settings,)


def default_config_file() -> Path:
    """Where config.toml is looked for when --config does not say."""
    return Path(platformdirs.user_config_dir(APP_NAME, appauthor=False)) / "config.toml"


def load(config_file: Path | None = None, flags: dict[str, Any] | None = None) -> Config:
    """The settings of this process.

    `config_file` must exist when given; the default one need not. `flags` holds only what was set on the
    command line. Raises ConfigError, which names file, key and expectation.
    """
    path = config_file or default_config_file()
    from_file = _read_toml(path, required=config_file is not None)
    from_env = _read_environment()
    from_flags = flags or {}
    try:
        return Config(**_merged(_merged(from_file, from_env), from_flags))
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        keys = tuple(str(part) for part in problem["loc"])
        raise ConfigError(*_whereabouts(keys, path, from_env, from_flags), _expectation(problem)) from error


def handed_over(config: Config) -> str:
    """The settings for a process we start, keys included: for a pipe, not for a file or a command line."""

    def plain(value: object) -> str:
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)

    return json.dumps(config.model_dump(), default=plain)


def taken_over(text: str) -> Config:
    """The settings that `handed_over` wrote."""
    return Config(**json.loads(text))


def _read_toml(path: Path, *, required: bool) -> dict[str, Any]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if required:
            raise ConfigError(str(path), "", "no such file; give the path of a TOML file") from error
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), "", f"cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), "", f"is not valid TOML: {error}") from error
    for folder in ("data_dir", "prompts_dir"):
        if data.get(folder) == "":
            del data[folder]
    return data


def _read_environment() -> dict[str, Any]:
    """What `MCP_MEMORY_*` says. A variable that names no setting is an error: a typo must not pass for a
    setting."""
    for variable in os.environ:
        name = variable.removeprefix(ENV_PREFIX).lower()
        if variable.startswith(ENV_PREFIX) and name.split(ENV_DELIMITER)[0] not in Config.model_fields:
            raise ConfigError(
                "environment", variable, "names no setting; see config.example.toml for those there are"
            )
    source = EnvSettingsSource(
        Config,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        env_ignore_empty=True,
        case_sensitive=False,
    )
    try:
        values = source()
    except SettingsError as error:
        raise ConfigError("environment", ENV_PREFIX + "*", str(error)) from error
    claude_code_session = os.environ.get("CLAUDE_CODE_SESSION_ID")
    if claude_code_session and "session_id" not in values:
        values["session_id"] = claude_code_session
    return values


def _merged(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        is_table = isinstance(value, dict)
        merged[key] = _merged(_table(merged.get(key)), _table(value)) if is_table else value
    return merged


def _table(value: Any) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _whereabouts(
    keys: tuple[str, ...], path: Path, from_env: dict[str, Any], from_flags: dict[str, Any]
) -> tuple[str, str]:
    if _holds(from_flags, keys):
        # A flag is called like the last of its keys: --port sets remote.port.
        return "command line", "--" + keys[-1].replace("_", "-")
    if _holds(from_env, keys):
        return "environment", ENV_PREFIX + ENV_DELIMITER.join(keys).upper()
    return str(path), ".".join(keys)


def _holds(values: dict[str, Any], keys: tuple[str, ...]) -> bool:
    if not keys or keys[0] not in values:
        return False
    return len(keys) == 1 or _holds(_table(values[keys[0]]), keys[1:])


def _expectation(problem: ErrorDetails) -> str:
    # The value itself is left out: it may be a key that stands in the wrong place.
    match problem["type"]:
        case "extra_forbidden":
            return "is no setting; see config.example.toml for those there are"
        case "value_error":
            return str(problem["ctx"]["error"]) if "ctx" in problem else problem["msg"]
        case _:
            return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
