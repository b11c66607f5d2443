from tests.api.test_store_states import *  # noqa
from service.jobs.store_rights import SAMPLES
import time

def _cmds():
    out=set()
    for p in ("web","worker"):
        for s in SAMPLES[p]:
            w=s.lower().split()
            out.add(f"{w[0]}|{w[1]}" if w[0] in ("client","config","function","script","xinfo") else w[0])
    return sorted(out)

def test_exhaustive(own_web, store_to_break):
    n=0; bad=[]
    for c in _cmds():
        until(lambda: is_ready(own_web), 20, "ready")
        with without_rights(f"-{c}")(store_to_break):
            for kill in (False, True):
                if kill:
                    store_to_break.admin.execute_command("CLIENT","KILL","USER","app")
                time.sleep(1.1)
                n+=1
                r=own_web.http.get("/readyz").status_code
                w=own_web.deliver("stripe", order("stripe", f"evt_x{n}"))
                if (r==200)!=(w.status_code<300):
                    bad.append((c,kill,r,w.status_code,w.text[:150]))
    print("BAD",bad)
    for pol in ("allkeys-lru","volatile-lru","volatile-ttl","allkeys-random","noeviction"):
      for mm in (1, 3_000_000):
        with configured("maxmemory-policy",pol)(store_to_break), configured("maxmemory",mm)(store_to_break):
            time.sleep(1.1); n+=1
            r=own_web.http.get("/readyz").status_code
            w=own_web.deliver("stripe", order("stripe", f"evt_x{n}"))
            print(pol,mm,r,w.status_code,w.text[:120])
    assert not bad
