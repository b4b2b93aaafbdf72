"""The builtin gates, a module each: one speaks if the policy names it, or if the caller has rules for its metrics."""
