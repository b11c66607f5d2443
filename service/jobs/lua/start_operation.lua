-- Begins a planned operation.
-- ARGV   operation_id, caller (name of the API key), request (keyed hash of what is asked
--        for), by (who confirms), address (where that came from, '' for none), reason ('' for none)
-- Reply  started | repeated (it was begun before) | other (it was planned by another caller, or for
--        something else) | none (there is no such plan, or it has expired)
-- Keeps  a plan is begun once, however often it is confirmed.
--- @include "operations"
--- @include "audit_log"
local operation_id, caller, request, by, address, reason = unpack(ARGV)
local operation, now = operations.load(operation_id), now_ms()
if not operation then return 'none' end
if operation.caller ~= caller or operation.request ~= request then return 'other' end
if operation.status ~= 'planned' then
  -- Written again, so that a caller who sends again waits until it is durable.
  redis.call('HSET', operations.key(operation_id), 'caller', caller)
  return 'repeated'
end
redis.call('HSET', operations.key(operation_id), 'by', by, 'address', address, 'reason', reason)
operations.start(operation_id, now)
local why = (reason == '' and '' or reason .. ' ') .. '(' .. operation_id .. ')'
audit(now, operation.action .. '_many', why, by, '*', nil, address)
return 'started'
