"""Put models into service and take them out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ratoon_airflow.operators.base import RatoonOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ratoon.tracking.client import Client


class DeployOperator(RatoonOperator):
    """Puts a model into service; a deployment of the same name is replaced once the new one answers.

    The value returned holds ``name``, ``target``, ``model_uri``, ``endpoint``, ``healthy``, ``model_name`` and
    ``model_version``. The target ``local`` serves from the worker that runs the task.

    Args:
        model_uri: What to serve: ``models:/wine@champion``, ``models:/wine/3``, ``runs:/<run id>/<name>``.
        deployment: Name of the deployment; that of the model if None.
        target: Where to deploy: ``local``, or the name of a target that a plugin brings.
        options: What the target takes beyond that.
    """

    template_fields: Sequence[str] = ("model_uri", "deployment", "target", "options")
    template_fields_renderers: ClassVar[dict[str, str]] = {"options": "json"}

    def __init__(
        self,
        *,
        model_uri: str,
        deployment: str | None = None,
        target: str = "local",
        options: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_uri = model_uri
        self.deployment = deployment
        self.target = target
        self.options = options

    def work(self, client: Client, context: Context) -> object:
        """Deploy, and return the deployment."""
        from ratoon.serving.deployments import deploy

        deployment = deploy(
            client, self.model_uri, name=self.deployment, target=self.target, options=dict(self.options or {})
        )
        self.log.info("'%s' serves %s at %s", deployment.name, deployment.model_uri, deployment.endpoint)
        return deployment


class UndeployOperator(RatoonOperator):
    """Takes a deployment out of service and returns it as it was; None if an earlier try has done so.

    Args:
        deployment: Name of the deployment.
        target: Where it runs; needed only where several targets have one of that name.
    """

    template_fields: Sequence[str] = ("deployment", "target")

    def __init__(self, *, deployment: str, target: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment
        self.target = target

    def work(self, client: Client, context: Context) -> object:
        """Remove the deployment, and return it."""
        from ratoon.errors import NotFound
        from ratoon.serving.deployments import undeploy

        try:
            removed = undeploy(client, self.deployment, target=self.target)
        except NotFound:
            if context["ti"].try_number == 1:  # a name that never was; later, a try that was cut short has done it
                raise
            return None
        self.log.info("'%s' is out of service", removed.name)
        return removed
