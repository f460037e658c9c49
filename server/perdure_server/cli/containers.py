"""Settings of runners in containers, and whether there is an engine for them."""

from __future__ import annotations

from perdure_runner.host.docker.config import DockerConfig

from perdure_server.cli.probes import Finding, Verdict
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

BACKENDS = ("process", "docker")


def docker_config(settings: Settings) -> DockerConfig:
    """What the settings say, once it is sure that there are an engine and a base image. Raises `PerdureError` P0219."""
    from perdure_runner.host.docker.base import bases
    from perdure_runner.host.docker.engine import Engine, EngineError

    config = DockerConfig(
        url=settings.text("docker_url"),
        runtime=settings.text("docker_runtime"),
        warm=int(settings.number("docker_warm")),
    )
    try:
        engine = Engine(config.url)
        try:
            found = engine.ask(bases)
        finally:
            engine.close()
    except EngineError as error:
        raise PerdureError("P0219", str(error), help=getattr(error, "help", None)) from None
    if not found:
        raise PerdureError(
            "P0219", "the Docker Engine has no base image for runners", help="make one: perdure images build-base"
        )
    return config


def look(settings: Settings) -> Finding:
    """Whether sessions could run in containers, for `perdure doctor`. That they cannot is no fault of the machine."""
    try:
        config = docker_config(settings)
        version, runtimes = _about(config)
    except PerdureError as error:
        return Finding("docker", Verdict.INFO, f"no runners in containers: {error}", error.help or "")
    if config.runtime and config.runtime not in runtimes:
        remedy = f"docker_runtime: one of {', '.join(sorted(runtimes))}"
        return Finding("docker", Verdict.WARN, f"the engine has no runtime {config.runtime}", remedy)
    return Finding("docker", Verdict.OK, f"Docker Engine {version}: runners may be containers (serve --runner docker)")


def _about(config: DockerConfig) -> tuple[str, list[str]]:
    """The engine's version and its runtimes. Raises `PerdureError` P0219."""
    from perdure_runner.host.docker.engine import Engine, EngineError

    engine = Engine(config.url)
    try:
        found = engine.ask(lambda client: client.info())
    except EngineError as error:
        raise PerdureError("P0219", str(error), help=getattr(error, "help", None)) from None
    finally:
        engine.close()
    return str(found["ServerVersion"]), list(found["Runtimes"])
