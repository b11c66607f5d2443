#!lua flags=allow-oom
-- Lists jobs under the keys of their persons, where another release or another SECRET_KEY has not.
-- ARGV   pairs: job_id, who (the keys of its persons, between spaces)
-- Reply  how many jobs were listed
-- Keeps  a job's field and its indexes change together; what was erased is not listed again.
--- @include "arguments"
--- @include "people"
local listed = 0
for id, who in argument_groups(ARGV, 1, 2) do
  local job = load_job(id)
  if job and not job.erased and not is_newer(job) then
    for key in string.gmatch(job.who, '%S+') do redis.call('ZREM', person_index(key), id) end
    for key in string.gmatch(who, '%S+') do
      redis.call('ZADD', person_index(key), job.seq, id)
    end
    set_fields(job, {who = who})
    listed = listed + 1
  end
end
return listed
