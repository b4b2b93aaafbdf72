"""What Airflow's own manager of providers makes of ours."""

from __future__ import annotations

import json

from airflow.providers_manager import ProvidersManager

manager = ProvidersManager()
provider = manager.providers["ratoon"]
hook = manager.hooks["ratoon"]
answer = {
    "version": provider.version,
    "hook": hook.hook_class_name,
    "connection_id_attribute": hook.connection_id_attribute_name,
    "connection_testable": hook.connection_testable,
    "fields": sorted(name for name in manager.connection_form_widgets if name.startswith("extra__ratoon__")),
    "hidden": manager.field_behaviours["ratoon"]["hidden_fields"],
}
print(f"ANSWER {json.dumps(answer)}")
