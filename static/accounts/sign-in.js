// A demo login fills the form and moves on to the button: one more key or click signs in.
const form = document.querySelector("form");

document.querySelector(".demo__list").addEventListener("click", (event) => {
  const login = event.target.closest("[data-email]");
  if (!login) return;
  form.elements.login.value = login.dataset.email;
  form.elements.password.value = login.dataset.password;
  form.querySelector("[type=submit]").focus();
});
