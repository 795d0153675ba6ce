# mypy: ignore-errors
import sys

import umami
from common import NUMBERS, TARGET, TOKEN, wait

umami.set_url_base(TARGET)
umami.set_website_id(TOKEN)
umami.set_hostname("x.com")
for n in NUMBERS:
    try:
        umami.new_event("sdk_test", url="/a", custom_data={"n": n, "plan": "pro"}, distinct_id="user-1")
    except Exception as error:
        print(error, file=sys.stderr)
wait()
