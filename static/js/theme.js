// Runs before the first paint, so that the page never flashes in the other theme. The key is the admin's own.
{
  const choice = localStorage.getItem("theme");
  if (choice) document.documentElement.dataset.theme = choice;
}
