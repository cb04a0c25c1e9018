"""Run scim2-tester against an endpoint and print one JSON object per check.

usage: check.py URL TOKEN [TAG...]

With tags, only the checks that carry one of them are run. Beyond the checks
that the suite runs by itself, the one that it defines and leaves out is run
too. The exit status is 0 whatever the checks found: the caller judges.
"""

import json
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import checker
from scim2_tester.checkers import core_schemas_validation
from scim2_tester.utils import CheckConfig
from scim2_tester.utils import CheckContext


def run(url, token, tags):
    http = Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60)
    client = SyncSCIMClient(http)
    results = checker.check_server(client, include_tags=tags)
    context = CheckContext(client, CheckConfig(include_tags=tags))
    return results + core_schemas_validation(context)


def main():
    url, token, *tags = sys.argv[1:]
    for result in run(url, token, set(tags) or None):
        json.dump(
            {
                "title": result.title,
                "status": result.status.name,
                "reason": result.reason,
                "resource": result.resource_type,
                "data": "" if result.status.name == "SUCCESS" else repr(result.data)[:4000],
            },
            sys.stdout,
        )
        print()


main()
