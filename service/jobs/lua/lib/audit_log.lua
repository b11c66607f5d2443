-- The audit log: what was decided, without what any job says and without whom it is about: those
-- who read it find that in the job (service/jobs/audit_log.py), until it is erased there.
--- @include "config"
--- @include "clock"

-- Tells a person's texts apart, for those who know the person's key.
local function own_hash(job)
  local key = string.match(job.who or '', '%S+')
  if not key or (job.text_hash or '') == '' then return job.text_hash end
  return string.sub(redis.sha1hex(key .. job.text_hash), 1, 16)
end

-- Records a decision: what, why, by whom, about which account or job; and of an act by a person the
-- address that it came from ('' for none).
local function audit(now, decision, why, by, account, job, address)
  local flat = {'decision', decision, 'why', why or '', 'by', by or '', 'account', account}
  if address and address ~= '' then
    flat[#flat + 1] = 'address'
    flat[#flat + 1] = address
  end
  if job then
    local more = {job = job.id, kind = job.kind, source = job.source, text_hash = own_hash(job)}
    for name, value in pairs(more) do
      flat[#flat + 1] = name
      flat[#flat + 1] = value
    end
  end
  redis.call('XADD', 'hg:audit', 'MINID', '~', digits(now - CONF.keep), '*', unpack(flat))
end
