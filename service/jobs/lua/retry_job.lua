-- Opens the next run of a failed or uncertain job.
-- ARGV   1 job id  2 who asks
-- Reply  ok | refused (neither failed nor uncertain) | empty (born failed: it has no recipient)
--        | gone (its text, or what a walk had found, is no longer kept) | photo_gone (its photo
--        was uploaded and is no longer kept) | none
-- Keeps  the same job and the same write token: an uncertain job is looked up before it writes; a
--        walk goes on behind its last page.
local job = load_job(ARGV[1])
local now = clock()
if not job then return 'none' end
if not (job.status == 'failed' or job.status == 'uncertain') then return 'refused' end
if job.to == '' and job.post == '' then return 'empty' end
local text = 'hg:jobtext:' .. job.id
if not READS[job.kind] and redis.call('EXISTS', text) == 0 then return 'gone' end
if is_walk(job) and not reopen_walk(job) then return 'gone' end
-- One that came by URL is fetched again.
if job.photo and redis.call('STRLEN', text) == 0 then return 'photo_gone' end
keep_payload(job)
redis.call('PERSIST', text)
redis.call('ZREM', 'hg:retention', job.id)
set(job, {run = job.run + 1, attempts = 0, misses = 0, looks = 0, strikes = 0, started = 0, finished = 0, result = '',
  error = '', cancel = '', expires = 0})
enter(job, now, ARGV[2], 'retry')
return 'ok'
