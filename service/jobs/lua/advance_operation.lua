-- Does the next jobs of an operation that cancels or retries.
-- ARGV   operation_id, limit (the most jobs)
-- Reply  how many jobs are left; 0 if it has ended
-- Keeps  each job's turn comes once, whoever calls this and however many do: what is done to a job
--        and how far the operation has come are one step. An error of one job is its outcome. An
--        uncertain job is retried only by an operation whose filter names that status.
--- @include "operations"
--- @include "job_actions"
local operation_id, limit = unpack(ARGV)
local operation, now = operations.load_running(operation_id), now_ms()
if not operation then return 0 end
operations.touch(operation, now)
local requester = {by = operation.by, address = operation.address, reason = operation.reason,
  operation = operation_id}
local act = job_actions[operation.action]

local function asks_for_uncertain()
  local statuses = cjson.decode(operation.filter).status
  for _, status in ipairs(type(statuses) == 'table' and statuses or {}) do
    if status == 'uncertain' then return true end
  end
  return false
end

local may_retry_uncertain = operation.action ~= 'retry' or asks_for_uncertain()

local function act_on(job_id)
  local job = load_job(job_id)
  if not may_retry_uncertain and job and job.status == 'uncertain' then return 'uncertain' end
  return act(job, now, requester)
end

local function result_of(job_id)
  local done, answer = pcall(act_on, job_id)
  if not done then return {'internal_error', true} end
  return {job_actions.outcome_of(operation.action, answer)}
end

local done = operations.count_done(operation)
local ids = redis.call('LRANGE', operations.items_key(operation_id), done, done + limit - 1)
local results = {}
for i, job_id in ipairs(ids) do results[i] = result_of(job_id) end
if results[1] then operations.record(operation, results) end
return operations.finish_if_done(operation, now)
