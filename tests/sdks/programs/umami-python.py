# mypy: ignore-errors
import umami
from common import PLAN, TARGET, TOKEN, at_once, wait

umami.set_url_base(TARGET)
umami.set_website_id(TOKEN)
umami.set_hostname("x.com")
at_once(
    lambda n: umami.new_event(
        "sdk_test", url="/a", custom_data={"n": n, "plan": PLAN}, distinct_id="user-1"
    )
)
wait()
