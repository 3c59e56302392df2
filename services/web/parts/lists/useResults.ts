import { useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo } from "react";
import { ApiError } from "../../api/errors";

interface ResultPage<T> {
  items: readonly T[];
  next_cursor: string | null;
  hint?: string | null;
}

/** What a search has found so far. */
export interface Found<T> {
  items: readonly T[];
  error: unknown;
  /** Whether the API did not understand the query. */
  isMistake: boolean;
  isPending: boolean;
  /** Whether these are the results of the question before. */
  isOld: boolean;
  isFetching: boolean;
  hint: string | null | undefined;
  hasMore: boolean;
  isMoreComing: boolean;
  more: () => void;
  retry: () => void;
}

/** Whether an error is of the query that somebody wrote. */
export const isMistaken = (error: unknown): boolean => error instanceof ApiError && error.code === "invalid-query";

/** The pages of a search, as one list that grows. */
export function useResults<T>(
  queryKey: readonly unknown[],
  read: (cursor: string, signal: AbortSignal) => Promise<ResultPage<T>>,
  enabled = true,
): Found<T> {
  const search = useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam, signal }) => read(pageParam, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    enabled,
  });
  const items = useMemo(() => search.data?.pages.flatMap((page) => page.items) ?? [], [search.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = search;
  const more = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [hasNextPage, isFetchingNextPage, fetchNextPage]);
  return {
    items,
    error: search.error,
    isMistake: isMistaken(search.error),
    isPending: search.isPending,
    isOld: search.isPlaceholderData,
    isFetching: search.isFetching && !isFetchingNextPage,
    hint: search.data?.pages[0]?.hint,
    hasMore: hasNextPage,
    isMoreComing: isFetchingNextPage,
    more,
    retry: () => void search.refetch(),
  };
}
