-- What people do to jobs: cancel and retry, one job or many (operations.lua).
-- A requester is {by, address ('' for none), reason (in their words, '' for none), operation (the
-- id of the operation that does it, nil for none)}.
--- @include "config"
--- @include "records"
--- @include "transitions"
--- @include "timeline"
--- @include "audit_log"
--- @include "follower_pages"
--- @include "deliveries"
--- @include "account_queue"
--- @include "finalize"

local job_actions = {}
do
  -- What the answers of an action are called in plans and results.
  local OUTCOMES = {
    cancel = {ok = 'canceled', asked = 'cancel_requested', done = 'already_canceled',
      late = 'not_cancelable'},
    retry = {ok = 'retried', refused = 'not_retryable', empty = 'rejected_at_creation',
      gone = 'text_gone', uncertain = 'became_uncertain'},
  }
  local COMMON = {newer = 'newer_release', none = 'unknown_job'}
  local IS_DONE = {ok = true, asked = true, done = true}

  -- The outcome of a job in an operation, and whether it is a problem.
  function job_actions.outcome_of(action, answer)
    return OUTCOMES[action][answer] or COMMON[answer] or answer, not IS_DONE[answer]
  end

  -- Why a requester does it, for timelines and the audit log.
  function job_actions.words_of(requester)
    local words = {}
    if requester.reason ~= '' then words[1] = requester.reason end
    if requester.operation then words[#words + 1] = '(' .. requester.operation .. ')' end
    return table.concat(words, ' ')
  end

  -- What an action says of itself in a job's timeline.
  function job_actions.entry_of(what, requester)
    local words = job_actions.words_of(requester)
    return words == '' and what or what .. ': ' .. words
  end

  local function audit_action(action, job, now, requester)
    audit(now, action, job_actions.words_of(requester), requester.by, job.account, job,
      requester.address)
  end

  -- Whether a job (nil for none) can be canceled: ok | asked (it runs, and stops before its write)
  -- | done (it is canceled) | late (its write may have happened, or it has ended) | newer (a newer
  -- release has written the record) | none.
  function job_actions.may_cancel(job)
    if not job then return 'none' end
    if is_newer(job) then return 'newer' end
    if job.status == 'running' then return 'asked' end
    if job.status == 'canceled' then return 'done' end
    if tonumber(job.intent_at) > 0 and not FINAL[job.status] then return 'late' end
    return is_allowed(job, 'canceled') and 'ok' or 'late'
  end

  -- Cancels a job where that can be done; returns what `may_cancel` says of it.
  function job_actions.cancel(job, now, requester)
    local answer = job_actions.may_cancel(job)
    if answer == 'asked' then
      set_fields(job, {cancel = requester.by})
      if requester.operation then
        append_timeline(job, now, 'running', requester.by,
          job_actions.entry_of('cancel requested', requester))
      end
    elseif answer == 'ok' then
      finalize(job, 'canceled', now, requester.by, job_actions.entry_of('requested', requester))
    else
      return answer
    end
    audit_action('cancel', job, now, requester)
    return answer
  end

  -- Whether a job (nil for none) can be retried: ok | refused (neither failed nor uncertain) |
  -- empty (rejected at creation: it has no recipient) | erased | gone (its text, or the rows of an
  -- export, are no longer kept) | photo_gone (its photo was uploaded and is no longer kept) | newer
  -- (a newer release has written the record) | none.
  function job_actions.may_retry(job)
    if not job then return 'none' end
    if is_newer(job) then return 'newer' end
    if not RETRYABLE[job.status] then return 'refused' end
    if job.erased then return 'erased' end
    if job.to == '' and job.post == '' and job.kind ~= 'report' then return 'empty' end
    local text = 'hg:jobtext:' .. job.id
    if not READ_KINDS[job.kind] and redis.call('EXISTS', text) == 0 then return 'gone' end
    if is_follower_export(job) and not has_all_rows(job) then return 'gone' end
    -- A photo that came by URL is fetched again.
    if job.photo and redis.call('STRLEN', text) == 0 then return 'photo_gone' end
    return 'ok'
  end

  -- What every new run of a job begins with.
  function job_actions.fields_of_new_run(job)
    return {run = job.run + 1, attempts = 0, misses = 0, looks = 0, strikes = 0, refusals = 0,
      resends = 0, started = 0, finished = 0, result = '', error = '', cancel = '', expires = 0}
  end

  -- Opens a job's next run where that can be done; returns what `may_retry` says of it.
  function job_actions.retry(job, now, requester)
    local answer = job_actions.may_retry(job)
    if answer ~= 'ok' then return answer end
    if is_follower_export(job) then reopen_export(job) end
    freeze_payload(job)
    redis.call('PERSIST', 'hg:jobtext:' .. job.id)
    redis.call('ZREM', 'hg:retention', job.id)
    set_fields(job, job_actions.fields_of_new_run(job))
    audit_action('retry', job, now, requester)
    requeue_or_grant(job, now, requester.by, job_actions.entry_of('retry', requester))
    return 'ok'
  end
end
