# Times cmcR on pairs of scans and prints one JSON object in the shape that
# bench/cmcr's Go counterpart prints for Proofmark.
#
#   Rscript cmcr.R --needs               what is missing here, exit status 3 if anything is
#   Rscript cmcr.R [--raw] DIR PAIRS     PAIRS: CSV with the columns a,b,same; scans are looked up in DIR
#   Rscript cmcr.R --selftest            runs everything that does not need cmcR
#
# One ordered pair is what is timed: all rotations, both decision rules, on scans
# already in memory. --raw lets cmcR crop, level, filter and sample the scans
# first; without it they are taken as they are (processed by their laboratory).

needed <- c("cmcR", "x3ptools")
rotations <- seq(-30, 30, by = 3) # degrees, as in the package's example

missing_packages <- function(names = needed) {
  names[!vapply(names, requireNamespace, logical(1), quietly = TRUE)]
}

how_to_get <- function(missing) {
  c(
    paste("not installed here:", paste(missing, collapse = ", ")),
    "Debian has R and most of what cmcR builds on: apt-get install r-base-dev r-cran-dplyr r-cran-purrr r-cran-imager r-cran-quantreg r-cran-ggplot2",
    "cmcR 0.1.11 and x3ptools come from CRAN: Rscript -e 'install.packages(c(\"cmcR\", \"x3ptools\"))'"
  )
}

read_pairs <- function(path) {
  pairs <- utils::read.csv(path, colClasses = "character", check.names = FALSE)
  absent <- setdiff(c("a", "b", "same"), names(pairs))
  if (length(absent) > 0) stop("the table of pairs has no column ", paste(absent, collapse = ", "))
  if (nrow(pairs) == 0) stop("the table holds no pair")
  pairs$same <- tolower(pairs$same) %in% c("true", "1", "yes")
  pairs
}

# A JSON value of strings, numbers, logicals, NULL and lists of them: jsonlite is
# one thing more to install.
to_json <- function(x) {
  quoted <- function(s) {
    s <- gsub("\\", "\\\\", s, fixed = TRUE)
    s <- gsub("\"", "\\\"", s, fixed = TRUE)
    s <- gsub("\n", "\\n", s, fixed = TRUE)
    s <- gsub("\t", "\\t", s, fixed = TRUE)
    paste0("\"", s, "\"")
  }
  if (is.null(x)) return("null")
  if (is.list(x)) {
    parts <- vapply(x, to_json, character(1))
    if (is.null(names(x))) return(paste0("[", paste(parts, collapse = ", "), "]"))
    return(paste0("{", paste0(quoted(names(x)), ": ", parts, collapse = ", "), "}"))
  }
  if (length(x) != 1 || is.na(x)) return("null")
  if (is.character(x)) return(quoted(x))
  if (is.logical(x)) return(if (x) "true" else "false")
  if (!is.finite(x)) return("null")
  format(x, digits = 15, scientific = FALSE, trim = TRUE)
}

# Share of (same, different) pairs in the right order, ties half.
auc <- function(score, same) {
  if (!any(same) || all(same)) return(NULL)
  won <- outer(score[same], score[!same], function(x, y) (x > y) + (x == y) / 2)
  mean(won)
}

# Reads and prepares each scan once, then times compare(a, b) for every pair.
# compare returns a list with a number named score.
time_pairs <- function(pairs, read, compare, clock = function() proc.time()[["elapsed"]]) {
  names <- unique(c(pairs$a, pairs$b))
  began <- clock()
  scans <- lapply(stats::setNames(names, names), read)
  prepared <- (clock() - began) / length(names)
  rows <- lapply(seq_len(nrow(pairs)), function(i) {
    began <- clock()
    found <- compare(scans[[pairs$a[i]]], scans[[pairs$b[i]]])
    took <- clock() - began
    message(sprintf("pair %d of %d: %.1f s", i, nrow(pairs), took))
    c(list(a = pairs$a[i], b = pairs$b[i], same = pairs$same[i], seconds = took), found)
  })
  list(prepare_seconds = prepared, rows = rows)
}

report <- function(method, timed) {
  seconds <- vapply(timed$rows, function(r) r$seconds, numeric(1))
  score <- vapply(timed$rows, function(r) as.numeric(r$score), numeric(1))
  same <- vapply(timed$rows, function(r) r$same, logical(1))
  list(
    method = method, threads = 1, pairs = length(seconds),
    prepare_seconds = timed$prepare_seconds,
    seconds_mean = mean(seconds), seconds_median = stats::median(seconds),
    auc = auc(score, same),
    same_min = if (any(same)) min(score[same]),
    different_max = if (!all(same)) max(score[!same]),
    coarse_seconds = NULL, limit_seconds = NULL, # cmcR has no coarse stage
    measured = timed$rows
  )
}

read_scan <- function(dir, raw) {
  read <- if ("x3p_read" %in% getNamespaceExports("x3ptools")) x3ptools::x3p_read else x3ptools::read_x3p
  function(name) {
    scan <- read(file.path(dir, name))
    if (!raw) return(scan)
    scan <- cmcR::preProcess_crop(scan, region = "exterior")
    scan <- cmcR::preProcess_crop(scan, region = "interior")
    scan <- cmcR::preProcess_removeTrend(scan, statistic = "quantile", tau = .5, method = "fn")
    scan <- cmcR::preProcess_gaussFilter(scan)
    x3ptools::sample_x3p(scan)
  }
}

congruent_cells <- function(reference, target) {
  features <- do.call(rbind, lapply(rotations, function(theta) {
    cmcR::comparison_allTogether(reference, target, theta = theta)
  }))
  decide <- function(tau) {
    sum(cmcR::decision_CMC(
      cellIndex = features$cellIndex, x = features$x, y = features$y,
      theta = features$theta, corr = features$pairwiseCompCor, tau = tau
    ) == "CMC", na.rm = TRUE)
  }
  list(score = decide(NULL), high_cmc = decide(1))
}

selftest <- function() {
  path <- tempfile(fileext = ".csv")
  writeLines(c("a,b,same", "one two.x3p,b.x3p,true", "b.x3p,c.x3p,false", "one two.x3p,c.x3p,false"), path)
  pairs <- read_pairs(path)
  stopifnot(nrow(pairs) == 3, identical(pairs$same, c(TRUE, FALSE, FALSE)), pairs$a[1] == "one two.x3p")
  tick <- 0
  clock <- function() { tick <<- tick + 2; tick }
  timed <- suppressMessages(time_pairs(pairs, function(n) nchar(n), function(a, b) list(score = a - b, high_cmc = 1), clock))
  stopifnot(timed$prepare_seconds == 2 / 3, length(timed$rows) == 3)
  text <- to_json(report("test \"quoted\"", timed))
  stopifnot(
    grepl("\"seconds_mean\": 2,", text, fixed = TRUE), grepl("\"auc\": 0.75", text, fixed = TRUE),
    grepl("\"method\": \"test \\\"quoted\\\"\"", text, fixed = TRUE), grepl("\"same\": true", text, fixed = TRUE)
  )
  stopifnot(is.null(auc(c(1, 2), c(TRUE, TRUE))), auc(c(2, 1), c(TRUE, FALSE)) == 1, to_json(NULL) == "null", to_json(NaN) == "null")
  stopifnot(identical(missing_packages("no.such.package"), "no.such.package"), length(missing_packages("stats")) == 0)
  cat("selftest passed\n")
}

main <- function(args) {
  if (identical(args, "--selftest")) return(selftest())
  absent <- missing_packages()
  if (identical(args, "--needs")) {
    if (length(absent) == 0) return(cat("nothing is missing\n"))
    writeLines(how_to_get(absent))
    quit(status = 3)
  }
  raw <- "--raw" %in% args
  args <- setdiff(args, "--raw")
  if (length(args) != 2) stop("give a folder of scans and a table of pairs")
  if (length(absent) > 0) {
    writeLines(how_to_get(absent), stderr())
    quit(status = 3)
  }
  timed <- time_pairs(read_pairs(args[2]), read_scan(args[1], raw), congruent_cells)
  cat(to_json(report(paste("cmcR", utils::packageVersion("cmcR")), timed)), "\n", sep = "")
}

if (sys.nframe() == 0) main(commandArgs(trailingOnly = TRUE))
