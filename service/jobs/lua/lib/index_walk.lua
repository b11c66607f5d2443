-- Walks indexes (zsets seq -> member) from the newest entry down, a bounded number of entries.

-- RECORD_EFFORT: what it takes to compare a record, in entries of an index.
local index_walk = {RECORD_EFFORT = 4}
do
  -- Entries read at once.
  local CHUNK = 100

  -- The values of a list in a query, as a set.
  function index_walk.set_of(list)
    local set = {}
    for _, value in ipairs(list) do set[value] = true end
    return set
  end

  -- The smallest of some groups of indexes; each group has all that is looked for.
  function index_walk.smallest(groups)
    local found, fewest
    for _, group in ipairs(groups) do
      local total = 0
      for _, index in ipairs(group) do total = total + redis.call('ZCARD', index) end
      if not found or total < fewest then found, fewest = group, total end
    end
    return found
  end

  -- By how much the clock may have been set back while nobody looked (clock_steps.lua), ms.
  local CLOCK_STEP = 600000

  -- The seq of the first entry that was created at `at` (unix ms) or later; infinite for none.
  local function seq_since(index, at, created_of)
    local low, high = 0, redis.call('ZCARD', index)
    while low < high do
      local middle = math.floor((low + high) / 2)
      local member = redis.call('ZRANGE', index, middle, middle)[1]
      if created_of(member) < at then low = middle + 1 else high = middle end
    end
    return tonumber(redis.call('ZRANGE', index, low, low, 'WITHSCORES')[2] or math.huge)
  end

  -- Which entries may be looked for: those before one seq, and from another on. They are before the
  -- cursor ('' for none), and about between the query's `since` and `until` (unix ms) if it has
  -- them: where the clock was set back, times are not in the order of seq.
  function index_walk.seq_bounds(index, cursor, query, created_of)
    local before, after = cursor ~= '' and tonumber(cursor) or math.huge, 0
    local step = CLOCK_STEP + tonumber(redis.call('HGET', 'hg:clock', 'by') or 0)
    if query['until'] then
      before = math.min(before, seq_since(index, query['until'] + step, created_of))
    end
    if query.since then after = seq_since(index, query.since - step, created_of) end
    return before, after
  end

  -- The newest `most` entries of several indexes, which have no member in common.
  local function newest_of(group, from, to, most)
    local function read(index)
      return redis.call('ZRANGE', index, from, to, 'BYSCORE', 'REV', 'LIMIT', 0, most,
        'WITHSCORES')
    end
    if #group == 1 then return read(group[1]) end
    local entries, flat = {}, {}
    for _, index in ipairs(group) do
      local rows = read(index)
      for i = 1, #rows, 2 do
        entries[#entries + 1] = {rows[i], rows[i + 1], tonumber(rows[i + 1])}
      end
    end
    table.sort(entries, function(a, b) return a[3] > b[3] end)
    for i = 1, math.min(most, #entries) do
      flat[2 * i - 1], flat[2 * i] = entries[i][1], entries[i][2]
    end
    return flat
  end

  local function score(seq) return seq == math.huge and '+inf' or string.format('%.0f', seq) end

  -- Calls `visit(member, seq)` for each entry of a group of indexes between two bounds, the newest
  -- first, until it returns true, or `effort` entries were looked at. Returns the seq of the last
  -- one, or '' at the end, and how much of the effort is left.
  function index_walk.walk(group, before, after, effort, visit)
    local from = before == math.huge and '+inf' or '(' .. score(before)
    after = score(after)
    while effort > 0 do
      local most = math.min(effort, CHUNK)
      local rows = newest_of(group, from, after, most)
      for i = 1, #rows, 2 do
        if visit(rows[i], rows[i + 1]) then return rows[i + 1], 0 end
      end
      effort = effort - #rows / 2
      if #rows < 2 * most then return '', effort end
      from = '(' .. rows[#rows]
    end
    return string.sub(from, 2), 0
  end
end
