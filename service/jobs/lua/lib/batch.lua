-- Writes to indexes, sets and counters. A script that does the same for many things begins a
-- batch: then each index and counter gets its additions in one command at the end.
--- @include "clock"

-- Only what no other step of the run reads or removes may wait for the end of the batch. `seqs` is
-- how many sequence numbers the run will need; numbers that are reserved and not used stay unused.
local function begin_batch(seqs)
  run.index_rows, run.counts, run.known_members, run.seqs = {}, {}, {}, seqs
end

local function write_batch()
  local failure
  for key, rows in pairs(run.index_rows) do
    for i = 1, #rows, 1000 do
      local reply = redis.pcall('ZADD', key, unpack(rows, i, math.min(i + 999, #rows)))
      failure = failure or type(reply) == 'table' and reply.err
    end
  end
  for name, times in pairs(run.counts) do redis.call('HINCRBY', 'hg:counters', name, times) end
  if failure then error(failure) end
end

local function add_to_index(key, score, member)
  local rows = run.index_rows and (run.index_rows[key] or {})
  if not rows then return redis.call('ZADD', key, score, member) end
  rows[#rows + 1], run.index_rows[key] = score, rows
  rows[#rows + 1] = member
end

local function remove_from_index(key, member)
  redis.call('ZREM', key, member)
  local rows = run.index_rows and run.index_rows[key] or {}
  for i = #rows, 2, -2 do
    if rows[i] == member then
      table.remove(rows, i)
      table.remove(rows, i - 1)
    end
  end
end

-- For a set that nearly always has the member already.
local function add_to_set(key, member)
  local name = key .. '\n' .. member
  if run.known_members and run.known_members[name] then return end
  redis.call('SADD', key, member)
  if run.known_members then run.known_members[name] = true end
end

local function remove_from_set(key, member)
  redis.call('SREM', key, member)
  if run.known_members then run.known_members[key .. '\n' .. member] = nil end
end

-- Counts in the step that does the work, so that no count is lost. The parts come from small fixed
-- sets: each combination is a field of hg:counters.
local function count(...)
  local name = table.concat({...}, ':')
  if not run.index_rows then return redis.call('HINCRBY', 'hg:counters', name, 1) end
  run.counts[name] = (run.counts[name] or 0) + 1
end

-- The next number in the order of everything.
local function next_seq()
  local seq = (run.seq or 0) + 1
  if seq > (run.last_seq or 0) then
    run.last_seq = redis.call('INCRBY', 'hg:seq', run.seqs or 1)
    seq, run.seqs = run.last_seq - (run.seqs or 1) + 1, 1
  end
  run.seq = seq
  return seq
end
