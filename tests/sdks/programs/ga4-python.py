# mypy: ignore-errors
from common import PLAN, TARGET, TOKEN, at_once, wait
from ga4mp import GtagMP

stream, _, secret = TOKEN.partition(":")
client = GtagMP(secret, stream, "1.2")
client._base_domain = f"{TARGET}/mp/collect"  # it has no setting
at_once(lambda n: client.send([{"name": "sdk_test", "params": {"n": n, "plan": PLAN}}]))
wait()
