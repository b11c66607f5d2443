-- Keeps the photo that a worker has fetched for the job it works on, until the job ends.
-- ARGV   1 job id  2 owner  3 fence  4 the JPEG  5 what is told of it (JSON)  6 the file's hash, which
--        stands where a DM has its text
-- Reply  ok | lost
-- Keeps  only the holder of the claim, before its write, adds to a job.
local job, now = load_job(ARGV[1]), clock()
if not job or job.owner ~= ARGV[2] or job.fence ~= ARGV[3] or job.status ~= 'running' then return 'lost' end
keep_photo(job.id, ARGV[4], 0, now)
set(job, {photo = ARGV[5], text_hash = hash_of(ARGV[6])})
return 'ok'
