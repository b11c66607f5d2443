-- Repeated arguments.

-- Iterates over groups of `size` arguments, from number `first` on:
-- `for id, owner in argument_groups(ARGV, 2, 2) do`.
local function argument_groups(arguments, first, size)
  local at = first - size
  return function()
    at = at + size
    return unpack(arguments, at, at + size - 1)
  end
end
