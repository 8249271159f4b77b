// Package wording tells how a text that somebody has relates to one that was endorsed: whether it is the same, and if not, what differs
// and where. What is endorsed are bytes, so only the same bytes are called identical; everything else is for people to look at.
//
//	Plain("on an equal footing") in the statement   quote        with its place and the rest of its sentence
//	… "on a fair footing" …                         words        deleted "an equal", inserted "a fair"
//	… "the technicаl community" …                   look-alike   U+0430 Cyrillic small letter a, line 3, column 43
//	… the same in lines of 72 characters …          same-words   spacing: 35
//
// A text is parted into words and marks. What people take for each other (capitals, kinds of quotation marks and dashes, letters that
// look alike by UTS #39) is laid side by side, and every pair that is not the same bytes is reported, in one of the classes words, moved, look-alike,
// punctuation and spacing. A number keeps its point, a word its apostrophe and hyphen: without them it is another word.
//
// What was done to get at the words of an HTML or PDF file, or of one that is not UTF-8, is a Step of the result. Such a text is never called
// identical, unless its file is, byte for byte, the endorsed one.
//
// It has no clock, no files and no network, and the browser compiles it. Names and classes of characters that decide what is admitted to a
// record are frozen in keys/unicode15; the judgement here decides nothing and may get better.
package wording
