#!lua flags=allow-oom
-- Stops an operation: what it has done stays done.
-- ARGV   operation_id, by (who asks), address (where that came from, '' for none)
-- Reply  ok | ended (it has ended otherwise) | newer (a newer release has written it) | none
-- Keeps  no step of it follows.
--- @include "operations"
--- @include "audit_log"
local operation_id, by, address = unpack(ARGV)
local operation, now = operations.load(operation_id), now_ms()
if not operation or operation.status == 'planned' then return 'none' end
if is_newer(operation) then return 'newer' end
if operation.status == 'completed' then return 'ended' end
if operation.status == 'canceled' then
  -- Written again, so that a caller who sends again waits until it is durable.
  redis.call('HSET', operations.key(operation_id), 'status', 'canceled')
  return 'ok'
end
operations.finish(operation_id, 'canceled', now)
audit(now, 'cancel_operation', '(' .. operation_id .. ')', by, '*', nil, address)
return 'ok'
