-- Tells what an action would do to jobs now. Changes nothing.
-- ARGV   action (cancel | retry), then the job ids
-- Reply  for each job {account, outcome}; account: '' where there is no such job; outcome: see
--        `outcome_of` in job_actions.lua
-- Keeps  what it says is what the action itself would say in the same moment.
--- @include "job_actions"
local action = ARGV[1]
local FIRST_JOB = 2
local judge = action == 'cancel' and job_actions.may_cancel or job_actions.may_retry
local replies = {}
for i = FIRST_JOB, #ARGV do
  local job = load_job(ARGV[i])
  replies[#replies + 1] = {job and job.account or '', (job_actions.outcome_of(action, judge(job)))}
end
return replies
