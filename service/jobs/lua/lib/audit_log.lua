-- The audit log: what was decided, without what any job says.
--- @include "config"
--- @include "clock"

-- Records a decision: what, why, by whom, about which account or job; and of an act by a person the
-- address that it came from ('' for none).
local function audit(now, decision, why, by, account, job, address)
  local flat = {'decision', decision, 'why', why or '', 'by', by or '', 'account', account}
  if address and address ~= '' then
    flat[#flat + 1] = 'address'
    flat[#flat + 1] = address
  end
  if job then
    local more = {job = job.id, kind = job.kind, to = job.to, post = job.post, pk = job.pk,
      source = job.source, text_hash = job.text_hash}
    for name, value in pairs(more) do
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  redis.call('XADD', 'hg:audit', 'MINID', '~', digits(now - CONF.keep), '*', unpack(flat))
end
