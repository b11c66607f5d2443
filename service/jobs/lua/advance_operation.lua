-- Does the next jobs of an operation that cancels or retries.
-- ARGV   operation_id, limit (the most jobs)
-- Reply  how many jobs are left; 0 if it has ended
-- Keeps  each job's turn comes once, whoever calls this and however many do: what is done to a job
--        and how far the operation has come are one step. An error of one job is its outcome.
--- @include "operations"
--- @include "job_actions"
local operation_id, limit = unpack(ARGV)
local operation, now = operations.load_running(operation_id), now_ms()
if not operation then return 0 end
operations.touch(operation, now)
local requester = {by = operation.by, address = operation.address, reason = operation.reason,
  operation = operation_id}
local act = job_actions[operation.action]

local function result_of(job_id)
  local done, answer = pcall(function() return act(load_job(job_id), now, requester) end)
  if not done then return {'internal_error', true} end
  return {job_actions.outcome_of(operation.action, answer)}
end

local done = operations.count_done(operation)
local ids = redis.call('LRANGE', operations.items_key(operation_id), done, done + limit - 1)
local results = {}
for i, job_id in ipairs(ids) do results[i] = result_of(job_id) end
if results[1] then operations.record(operation, results) end
return operations.finish_if_done(operation, now)
