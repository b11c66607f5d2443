-- The indexes by which events are found (find_events.lua): zsets seq -> source:id.
--   hg:events                    all
--   hg:events:type:{type}        by type
--   hg:events:status:{status}    by status, but for accepted ones
--   hg:events:outcome:{outcome}  accepted ones by what their rules say of them, but for `matched`:
--                                when_false, when_error, rejected; no_rule_matched if no rule has a
--                                job, whatever it was created as
-- So an event that made its jobs has one entry beside that in hg:events. Releases up to 0.2.0 wrote
-- hg:events only: index_events.lua adds the others.
--- @include "batch"

local event_indexes = {}
do
  -- What each rule says of an event, by its name; after a replay, what it said last.
  function event_indexes.outcomes_by_rule(notes)
    local outcomes = {}
    for _, note in ipairs(cjson.decode(notes)) do outcomes[note.rule] = note.outcome end
    return outcomes
  end

  -- Outcomes that an event is listed under, and of these the ones that make no job.
  local LISTED_OUTCOMES = {when_false = true, when_error = true, rejected = true}
  local NO_JOB = {when_false = true, when_error = true}

  -- Whether rules have made jobs and none says anything else, as with nearly every event that has
  -- one. Tells only what the text shows without being parsed.
  local function is_plain_success(notes)
    return notes ~= '[]' and not string.find(notes, 'when_', 1, true) and
      not string.find(notes, 'rejected', 1, true)
  end

  -- The outcomes that an accepted event is listed under, as a set.
  function event_indexes.listed_outcomes(notes)
    local listed, made_job = {}, false
    if is_plain_success(notes) then return listed end
    for _, outcome in pairs(event_indexes.outcomes_by_rule(notes)) do
      listed[outcome] = LISTED_OUTCOMES[outcome]
      made_job = made_job or not NO_JOB[outcome]
    end
    listed.no_rule_matched = not made_job or nil
    return listed
  end

  -- The indexes that list an event.
  function event_indexes.of(event)
    local indexes = {'hg:events', 'hg:events:type:' .. event.type}
    if event.status ~= 'accepted' then
      indexes[3] = 'hg:events:status:' .. event.status
      return indexes
    end
    for outcome in pairs(event_indexes.listed_outcomes(event.notes)) do
      indexes[#indexes + 1] = 'hg:events:outcome:' .. outcome
    end
    return indexes
  end

  function event_indexes.add(event, member)
    for _, index in ipairs(event_indexes.of(event)) do add_to_index(index, event.seq, member) end
  end

  -- Moves an event whose type or notes have changed.
  function event_indexes.move(before, after, member)
    for _, index in ipairs(event_indexes.of(before)) do remove_from_index(index, member) end
    event_indexes.add(after, member)
  end
end
